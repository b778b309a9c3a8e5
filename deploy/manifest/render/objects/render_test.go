package objects_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	goccy "github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/render/objects"
)

func render(t testing.TB, r manifest.Request) map[string]string {
	t.Helper()
	files, _, err := objects.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]string{}
	for _, file := range files {
		content[file.Path] = file.Content
	}
	return content
}

// lines returns the lines of a that differ in b, by number.
func lines(t *testing.T, a, b string) []string {
	t.Helper()
	before, after := strings.Split(a, "\n"), strings.Split(b, "\n")
	if len(before) != len(after) {
		t.Fatalf("%d lines became %d", len(before), len(after))
	}
	var changed []string
	for i := range before {
		if before[i] != after[i] {
			changed = append(changed, strings.TrimSpace(before[i])+" -> "+strings.TrimSpace(after[i]))
		}
	}
	return changed
}

// A changed digest or sum changes all the lines that carry it, and no other line. A digest
// never ends up in the place of a sum, nor a sum in the place of a digest.
func TestChangedSums(t *testing.T) {
	t.Parallel()
	const other = "abcdef"
	base := request(load(t)...)
	before := render(t, base)
	for name, test := range map[string]struct {
		change  func(*manifest.Source)
		carries string // in every line that changes
		files   string // the folders of a filter with files that change
	}{
		"manifest digest": {
			func(r *manifest.Source) { r.ManifestDigest = "sha256:" + strings.Repeat(other, 11)[:64] },
			strings.TrimPrefix(manifestDigest, "sha256:"), "envoyextensionpolicy/* trafficextension/* wasmplugin/*",
		},
		"wasm sha256": {
			func(r *manifest.Source) { r.WasmSHA256 = strings.Repeat(other, 11)[:64] },
			wasmSHA256, "* envoyextensionpolicy-http/* envoyfilter/* trafficextension-http/* wasmplugin-http/*",
		},
	} {
		changed := base
		changed.Releases = slices.Clone(base.Releases)
		for i := range changed.Releases {
			test.change(&changed.Releases[i])
		}
		after := render(t, changed)
		seen := map[string]bool{}
		for path, content := range after {
			changed := lines(t, before[path], content)
			for _, line := range changed {
				if strings.Count(line, test.carries) != 1 || !strings.Contains(line, strings.Repeat(other, 10)) {
					t.Errorf("%s: %s: changed: %s", name, path, line)
				}
			}
			if _, file, _ := strings.Cut(path, "/"); len(changed) > 0 {
				seen[strings.TrimSuffix(file, path[strings.LastIndex(path, "/")+1:])+"*"] = true
			}
			if strings.Contains(content, test.carries) {
				t.Errorf("%s: %s still has the old one", name, path)
			}
		}
		if got := strings.Join(slices.Sorted(maps.Keys(seen)), " "); got != test.files {
			t.Errorf("%s: changed %s, want %s", name, got, test.files)
		}
	}
}

// Every reader of YAML reads sums that look like numbers as text.
func TestSumsAreTexts(t *testing.T) {
	t.Parallel()
	for _, sum := range []string{
		strings.Repeat("1", 64), strings.Repeat("0", 64), "0" + strings.Repeat("7", 63),
		"1e" + strings.Repeat("9", 62), strings.Repeat("1", 62) + "e1", strings.Repeat("0", 62) + "e0",
		strings.Repeat("1", 31) + "e" + strings.Repeat("1", 32), "0b" + strings.Repeat("1", 62),
	} {
		r := request(load(t)...)
		for i := range r.Releases {
			r.Releases[i].WasmSHA256, r.Releases[i].ManifestDigest = sum, "sha256:"+sum
		}
		for path, content := range render(t, r) {
			for document := range strings.SplitSeq(content, "\n---\n") {
				for reader, read := range map[string]func([]byte, any) error{
					"sigs.k8s.io/yaml": func(b []byte, v any) error { return yaml.Unmarshal(b, v) },
					"go.yaml.in/v3":    yamlv3.Unmarshal,
					"goccy/go-yaml":    goccy.Unmarshal,
				} {
					var v any
					if err := read([]byte(document), &v); err != nil {
						t.Fatalf("%s: %s: %v", path, reader, err)
					}
					if got := find(v, "sha256"); got != nil && got != sum {
						t.Errorf("%s: %s reads sha256 %s as %#v", path, reader, sum, got)
					}
				}
			}
		}
	}
}

// find returns the first value of a key anywhere in v.
func find(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		if found, ok := v[key]; ok {
			return found
		}
		for _, inner := range v {
			if found := find(inner, key); found != nil {
				return found
			}
		}
	case []any:
		for _, inner := range v {
			if found := find(inner, key); found != nil {
				return found
			}
		}
	}
	return nil
}

// Two things make no difference: the order of the filters, and that the request passes through
// JSON on its way to the program.
func TestRenderIsStable(t *testing.T) {
	t.Parallel()
	r := request(load(t)...)
	want, _, err := objects.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var received manifest.Request
	if err := json.Unmarshal(text, &received); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(received.Filters)
	got, _, err := objects.Render(received)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files differ (-want +got):\n%s", diff)
	}
}

// Only published forms are rendered, and the default is one of them.
func TestHalfReleases(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change  func(*manifest.Source)
		choice  string
		omitted []string
	}{
		"registry only": {
			func(r *manifest.Source) { r.URL, r.WasmSHA256 = "", "" },
			"- wasmplugin\n",
			[]string{"wasmplugin-http", "trafficextension-http", "envoyfilter", "envoyextensionpolicy-http", "envoy.yaml"},
		},
		"storage only": {
			func(r *manifest.Source) { r.Repository, r.ManifestDigest = "", "" },
			"- wasmplugin-http\n",
			[]string{"wasmplugin", "trafficextension", "envoyextensionpolicy"},
		},
	} {
		filter := catalog.Filter{Name: "headers", Metadata: catalog.Metadata{Apply: &catalog.Apply{FailStrategy: catalog.FailClose}}}
		r := request(filter)
		test.change(&r.Releases[0])
		files, omitted, err := objects.Render(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var forms []string
		for _, o := range omitted {
			forms = append(forms, o.Form)
		}
		if !reflect.DeepEqual(forms, test.omitted) {
			t.Errorf("%s: omitted %v, want %v", name, forms, test.omitted)
		}
		for _, file := range files {
			if file.Path == "headers/kustomization.yaml" && !strings.Contains(file.Content, test.choice) {
				t.Errorf("%s: by default:\n%s", name, file.Content)
			}
			for _, form := range test.omitted {
				if strings.HasPrefix(file.Path, "headers/"+form+"/") || file.Path == "headers/"+form {
					t.Errorf("%s: %s is rendered", name, file.Path)
				}
			}
		}
	}
}

// Only plain Envoy does not follow redirects, so only its form is left out.
func TestRedirect(t *testing.T) {
	t.Parallel()
	r := request(load(t)...)
	before := render(t, r)
	for i := range r.Releases {
		r.Releases[i].Redirect = "https://objects.example.com/" + r.Releases[i].Filter
	}
	files, omitted, err := objects.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	after := map[string]string{}
	for _, file := range files {
		after[file.Path] = file.Content
	}
	for path, content := range before {
		if strings.HasSuffix(path, "/"+objects.Bootstrap) {
			filter := strings.TrimSuffix(path, "/"+objects.Bootstrap)
			if after[path] != "" || !slices.ContainsFunc(omitted, func(o manifest.Omission) bool {
				return o.Filter == filter && o.Form == objects.Bootstrap && strings.Contains(o.Reason, "redirects to https://objects.example.com/"+filter+", and Envoy follows no redirect")
			}) {
				t.Errorf("%s is there, or is not said to be left out: %v", path, omitted)
			}
			continue
		}
		if after[path] != content {
			t.Errorf("%s changed", path)
		}
	}
}
