package objects_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	clientextensions "istio.io/client-go/pkg/apis/extensions/v1alpha1"
	clientnetworking "istio.io/client-go/pkg/apis/networking/v1alpha3"
	"sigs.k8s.io/yaml"

	gateway "github.com/envoyproxy/gateway/api/v1alpha1"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest/render/objects"
)

// A filter.yaml is either refused, or renders objects that their own types read back with
// nothing lost and nothing smuggled in. (test/consumers fuzzes whether Istio accepts them,
// which is slower.)
func FuzzRender(f *testing.F) {
	const dir = "../../testdata/filters"
	entries, err := os.ReadDir(dir)
	if err != nil {
		f.Fatal(err)
	}
	for _, entry := range entries {
		seed, err := os.ReadFile(filepath.Join(dir, entry.Name(), catalog.MetadataFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Add([]byte("title: T\ndescription: D\nlicense: L\napply: {failStrategy: FAIL_OPEN, pluginConfig: {\"a\\nb: c\": \"\\x01\\u2028'\\\"---\"}}\n"))
	path := filepath.Join(f.TempDir(), catalog.MetadataFile)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		metadata, err := catalog.ReadMetadata(path)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %v", err)
			}
			return
		}
		if metadata.Apply == nil {
			return
		}
		files, _, err := objects.Render(request(catalog.Filter{Name: "headers", Metadata: metadata}))
		if err != nil {
			t.Fatalf("read, but not rendered: %v", err)
		}
		for _, file := range files {
			if strings.HasSuffix(file.Path, "kustomization.yaml") || strings.Contains(file.Path, "/httpbin/") {
				continue
			}
			checkObject(t, file.Path, file.Content, *metadata.Apply)
		}
	})
}

func checkObject(t *testing.T, path, content string, apply catalog.Apply) {
	t.Helper()
	if filepath.Base(path) == objects.Bootstrap {
		raw, err := yaml.YAMLToJSONStrict([]byte(content))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := protojson.Unmarshal(raw, &bootstrapv3.Bootstrap{}); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, content)
		}
		return
	}
	kinds := map[string]any{
		"wasmplugin.yaml":           &clientextensions.WasmPlugin{},
		"trafficextension.yaml":     &clientextensions.TrafficExtension{},
		"envoyfilter.yaml":          &clientnetworking.EnvoyFilter{},
		"envoyextensionpolicy.yaml": &gateway.EnvoyExtensionPolicy{},
	}
	object := kinds[filepath.Base(path)]
	if err := yaml.UnmarshalStrict([]byte(content), object); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, content)
	}
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(content), &tree); err != nil {
		t.Fatal(err)
	}
	if keys := slices.Sorted(maps.Keys(tree)); !slices.Equal(keys, []string{"apiVersion", "kind", "metadata", "spec"}) {
		t.Errorf("%s has %v", path, keys)
	}
	var config any
	switch o := object.(type) {
	case *clientextensions.WasmPlugin:
		config = o.Spec.GetPluginConfig().AsMap()
	case *clientextensions.TrafficExtension:
		config = o.Spec.GetWasm().GetPluginConfig().AsMap()
	case *gateway.EnvoyExtensionPolicy:
		if o.Spec.Wasm[0].Config != nil {
			if err := json.Unmarshal(o.Spec.Wasm[0].Config.Raw, &config); err != nil {
				t.Fatal(err)
			}
		}
	default:
		return
	}
	if diff := cmp.Diff(throughJSON(t, apply.PluginConfig), throughJSON(t, config)); diff != "" {
		t.Errorf("%s: configuration differs (-want +got):\n%s", path, diff)
	}
}

// throughJSON makes configurations comparable; an empty one counts as none.
func throughJSON(t *testing.T, config any) any {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if m, ok := v.(map[string]any); ok && len(m) == 0 {
		return nil
	}
	return v
}
