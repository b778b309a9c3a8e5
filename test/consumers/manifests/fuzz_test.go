package manifests

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/render/objects"
)

// Any filter.yaml is refused or renders objects that the API server's schema and
// istiod's webhook take. The fields are made from the arguments, because random
// bytes hardly ever are YAML.
func FuzzJudges(f *testing.F) {
	f.Add("shop", "app", "cart", "inbound", int64(8080), "AUTHN", int64(5), "", "FAIL_CLOSE", "on", "a: b\n---\n", "MODE", "1.50", "secret", "Gateway", "web", "1.4.0", "http://h/x.wasm")
	f.Add("", "", "", "gateway", int64(0), "", int64(-2147483647), "CLIENT", "FAIL_OPEN", "", "\x00\u2028", "_", "", "", "Service", "a.b", "1.4.0-rc.1", "https://[::1]:8443/x.wasm")
	f.Add("a-b", "example.com/x", "", "", int64(65535), "STATS", int64(2147483647), "CLIENT_AND_SERVER", "FAIL_RELOAD", "\"", "{}", "", "", "a.b-c", "", "", "0.0.0", "https://10.0.0.1/x%20y.wasm")
	path := filepath.Join(f.TempDir(), catalog.MetadataFile)
	f.Fuzz(func(t *testing.T, namespace, key, label, context string, port int64, phase string, priority int64, mode, fail, name, value, env, envValue, secret, kind, target, version, url string) {
		apply := map[string]any{"port": port, "priority": priority, "failStrategy": fail, "pluginConfig": map[string]any{name: []any{value, map[string]any{value: name}}}}
		for field, text := range map[string]string{"namespace": namespace, "phase": phase, "mode": mode, "imagePullSecret": secret} {
			if text != "" {
				apply[field] = text
			}
		}
		if context != "" {
			apply["contexts"] = strings.Split(context, ",")
		}
		if key != "" {
			apply["selector"] = map[string]any{key: label}
		}
		if kind != "" {
			apply["targetRefs"] = []any{map[string]any{"kind": kind, "name": target}}
		}
		if env != "" {
			apply["vmConfig"] = map[string]any{"env": []any{map[string]any{"name": env, "value": envValue}}}
		}
		content, err := yaml.Marshal(map[string]any{"title": "T", "description": "D", "license": "L", "apply": apply})
		if err != nil {
			return // not UTF-8
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		metadata, err := catalog.ReadMetadata(path)
		if err != nil {
			return
		}
		r := release("headers")
		r.Version, r.URL = version, url
		// A URL is refused in two steps: what nobody could fetch, and what Envoy cannot.
		_, _, err = envoyconf.BuildFilter(envoyconf.Filter{Name: r.Filter, Source: envoyconf.Remote{URL: r.URL, SHA256: r.WasmSHA256}})
		if r.Check() != nil || err != nil {
			return
		}
		judge(t, catalog.Filter{Name: "headers", Metadata: metadata}, r)
	})
}

func judge(t *testing.T, filter catalog.Filter, r manifest.Source) {
	t.Helper()
	files, _, err := objects.Render(manifest.Request{
		Filters: []catalog.Filter{filter}, Releases: []manifest.Source{r}, HTTPBinImage: manifest.DefaultHTTPBinImage,
	})
	if err != nil {
		t.Fatalf("read, but not rendered: %v", err)
	}
	for _, file := range files {
		form := path.Base(path.Dir(file.Path))
		if !isForm(form) || path.Base(file.Path) == "kustomization.yaml" {
			continue
		}
		if err := checkSchema(file.Content); err != nil {
			t.Errorf("%s: %v\n%s", form, err, file.Content)
		}
		if strings.HasPrefix(form, "envoyextensionpolicy") {
			continue
		}
		if err := checkWebhook(file.Content); err != nil {
			t.Errorf("%s: %v\n%s", form, err, file.Content)
		}
	}
}
