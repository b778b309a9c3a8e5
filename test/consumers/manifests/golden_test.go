package manifests

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func TestSchema(t *testing.T) {
	t.Parallel()
	files := goldenFiles(t)
	if len(files) < 4*len(forms) {
		t.Errorf("only %d golden files", len(files))
	}
	for name, content := range files {
		if err := checkSchema(content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	for name, content := range goldenFiles(t) {
		if strings.HasPrefix(path.Base(name), "envoyextensionpolicy") {
			continue // Envoy Gateway's
		}
		if err := checkWebhook(content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// "kubectl apply -k" works on every folder. A folder that contains others builds one
// object per filter.
func TestKustomize(t *testing.T) {
	t.Parallel()
	built := map[string]int{}
	err := fs.WalkDir(os.DirFS(golden), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Base(name) != "kustomization.yaml" {
			return err
		}
		folder := path.Dir(name)
		resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(golden, folder))
		if err != nil {
			t.Errorf("%s: %v", folder, err)
			return nil
		}
		built[folder] = resources.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder, size := range map[string]int{".": 5, "gateway": 1, "gateway/wasmplugin-http": 1, "gateway/httpbin": 3} {
		if built[folder] != size {
			t.Errorf("%s builds %d objects, want %d", folder, built[folder], size)
		}
	}
}

// The judges find the mistakes that they are there for. Some version of some tool on
// the way to a cluster accepted each of these.
func TestJudgesRefuse(t *testing.T) {
	t.Parallel()
	files := goldenFiles(t)
	const sum = `"0987654321098765432109876543210987654321098765432109876543210987"`
	for name, test := range map[string]struct {
		file     string
		old, new string
		judge    func(string) error
		want     string
	}{
		"sha256 as a number":      {"sidecar/wasmplugin-http", sum, strings.Trim(sum, `"`), checkSchema, "sha256"},
		"sha256 with prefix":      {"sidecar/wasmplugin-http", sum, `"sha256:` + strings.Trim(sum, `"`) + `"`, checkSchema, "sha256"},
		"unknown field":           {"sidecar/wasmplugin", "failStrategy:", "failurePolicy:", checkSchema, "failurePolicy"},
		"unknown strategy":        {"sidecar/wasmplugin", "FAIL_RELOAD", "FAIL_RETRY", checkSchema, "FAIL_RETRY"},
		"unknown scheme":          {"sidecar/wasmplugin", "oci://", "docker://", checkSchema, "url"},
		"selector and targetRefs": {"gateway/trafficextension", "  targetRefs:", "  selector: {matchLabels: {a: b}}\n  targetRefs:", checkWebhook, "only one of targetRefs or workloadSelector"},
		"target kind":             {"gateway/wasmplugin", "kind: Gateway", "kind: HTTPRoute", checkWebhook, "targetRef must be to one of"},
		"typo in the filter":      {"sidecar/envoyfilter", "failure_policy", "failure_polcy", checkWebhook, "failure_polcy"},
		"typo in the cluster":     {"sidecar/envoyfilter", "connect_timeout", "conect_timeout", checkWebhook, "conect_timeout"},
		"wrong type":              {"sidecar/envoyfilter", "filters.http.wasm.v3.Wasm\n          config", "filters.http.wasm.v3.Wasn\n          config", checkWebhook, "referenced type unknown"},
		"sub-filter without name": {"sidecar/envoyfilter", "name: envoy.filters.http.router", "name: \"\"", checkWebhook, "subfilter match has no name"},
		"targets of a gateway":    {"gateway/envoyextensionpolicy", "kind: Gateway", "kind: Service", checkSchema, "targetRefs[*].kind"},
		"merge at a gateway":      {"open/envoyextensionpolicy", "targetSelectors:", "mergeType: JSONMerge\n  targetSelectors:", checkSchema, "mergeType can only be used with xRoute targets"},
		"image without image":     {"open/envoyextensionpolicy", "type: Image", "type: HTTP", checkSchema, "http field needs to be set"},
	} {
		content, ok := files[test.file]
		if !ok || !strings.Contains(content, test.old) {
			t.Errorf("%s: %s has no %q", name, test.file, test.old)
			continue
		}
		err := test.judge(strings.ReplaceAll(content, test.old, test.new))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want %q in it", name, err, test.want)
		}
	}
}
