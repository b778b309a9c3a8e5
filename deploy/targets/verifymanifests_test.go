package targets

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/verify"
)

// TestVerifyManifests verifies what manifests name, whoever wrote them.
func TestVerifyManifests(t *testing.T) {
	project(t)
	ctx := t.Context()
	server := startRegistry(t)
	c := variables.Values{Registry: server + "/acme", Filters: []string{"headers"}}
	pushed := runJSON[[]oci.Published](t, func(o Output) error { return push(ctx, c, "1.4.0", o) })[0]
	wasm := wasmtest.Encode(wasmtest.Filter())
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/headers.wasm" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(wasm)
	}))
	t.Cleanup(files.Close)
	sum, zeros := checksum.Bytes(wasm), strings.Repeat("0", 64)

	plugin := func(spec string) string {
		return "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: headers}\nspec:\n  " + spec + "\n"
	}
	for name, test := range map[string]struct {
		manifest string
		want     []string // "STATE WHAT DETAIL…" of checks; empty for an error
		err      string
	}{
		"tag and digest": {plugin("url: oci://" + pushed.Repository + ":1.4.0@" + pushed.ManifestDigest),
			[]string{"ok pin ", "ok manifest " + pushed.ManifestDigest, "missing signature"}, ""},
		"another tag": {plugin("url: oci://" + pushed.Repository + ":1.5.0@" + pushed.ManifestDigest),
			[]string{"ok pin ", `wrong manifest the registry has no tag 1.5.0; annotation org.opencontainers.image.version is "1.4.0", but its tag is 1.5.0`}, ""},
		"another digest":    {plugin("url: oci://" + pushed.Repository + ":1.4.0@sha256:" + zeros), []string{"missing manifest"}, ""},
		"no digest":         {plugin("url: " + pushed.Repository + ":1.4.0"), []string{"wrong pin " + pushed.Repository + ":1.4.0 without a digest", "ok manifest "}, ""},
		"URL":               {plugin("url: " + files.URL + "/headers.wasm\n  sha256: " + sum), []string{"ok pin ", "ok sum " + sum}, ""},
		"another sum":       {plugin("url: " + files.URL + "/headers.wasm\n  sha256: '" + zeros + "'"), []string{"wrong sum it serves a module with wasm sha256 " + sum}, ""},
		"a URL without sum": {plugin("url: " + files.URL + "/headers.wasm"), []string{"wrong pin "}, ""},
		"nothing at a URL":  {plugin("url: " + files.URL + "/other.wasm\n  sha256: " + sum), []string{"missing sum "}, ""},
		"several documents": {plugin("priority: 1") + "---\n" + plugin("url: oci://"+pushed.Repository+"@"+pushed.ManifestDigest), []string{"ok pin ", "ok manifest "}, ""},
		"TrafficExtension":  {"kind: TrafficExtension\nspec:\n  wasm:\n    url: oci://" + pushed.Repository + ":1.4.0@" + pushed.ManifestDigest, []string{"ok manifest "}, ""},
		"EnvoyExtensionPolicy": {"kind: EnvoyExtensionPolicy\nspec:\n  wasm:\n  - code:\n      type: Image\n      image:\n        url: " +
			pushed.Repository + ":1.4.0@" + pushed.ManifestDigest + "\n        sha256: " + strings.TrimPrefix(pushed.ManifestDigest, "sha256:"), []string{"ok pin ", "ok manifest "}, ""},
		"EnvoyFilter": {"kind: EnvoyFilter\nspec:\n  configPatches:\n  - patch:\n      value:\n        code:\n          remote:\n            http_uri: {uri: " +
			files.URL + "/headers.wasm}\n            sha256: " + sum, []string{"ok sum " + sum}, ""},
		"no module":    {"kind: Service\nspec: {url: https://example.com}\n", nil, "no manifest in it names a module"},
		"no YAML":      {"kind: [\n", nil, "headers.yaml: "},
		"no reference": {plugin("url: 'oci://ghcr.io/Acme/x:1'"), nil, "headers.yaml: registry"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "headers", "headers.yaml"), test.manifest)
			write(t, filepath.Join(dir, "README.md"), "no manifest")
			found, err := findNamed(ctx, c, dir, Output{Out: &strings.Builder{}, Err: &strings.Builder{}})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !hasCheck(found, want) {
					t.Errorf("no %q in %+v", want, found.Checks)
				}
			}
		})
	}
	if err := verifyPublished(ctx, c, t.TempDir(), false, Output{Out: &strings.Builder{}, Err: &strings.Builder{}}); err == nil || !strings.Contains(err.Error(), "no manifest in it names a module") {
		t.Errorf("a folder is not verified: %v", err)
	}
}

func hasCheck(found *verify.Report, want string) bool {
	for _, check := range found.Checks {
		if strings.HasPrefix(string(check.State)+" "+check.What+" "+check.Detail, want) {
			return true
		}
	}
	return false
}
