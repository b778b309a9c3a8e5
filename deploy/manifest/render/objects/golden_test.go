package objects_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/render/objects"
)

var update = flag.Bool("update", false, "write the golden files anew")

const golden = "../../testdata/golden"

// These sums have only digits. YAML would read them as numbers.
var (
	manifestDigest = "sha256:" + strings.Repeat("1234567890", 6) + "1234"
	wasmSHA256     = strings.Repeat("0987654321", 6) + "0987"
)

// load reads the filter.yaml files below ../../testdata/filters.
func load(t testing.TB) []catalog.Filter {
	t.Helper()
	const dir = "../../testdata/filters"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var filters []catalog.Filter
	for _, entry := range entries {
		metadata, err := catalog.ReadMetadata(filepath.Join(dir, entry.Name(), catalog.MetadataFile))
		if err != nil {
			t.Fatal(err)
		}
		filters = append(filters, catalog.Filter{Name: entry.Name(), Dir: filepath.Join(dir, entry.Name()), Metadata: metadata})
	}
	return filters
}

func request(filters ...catalog.Filter) manifest.Request {
	r := manifest.Request{Filters: filters, HTTPBinImage: manifest.DefaultHTTPBinImage}
	for _, f := range filters {
		r.Releases = append(r.Releases, manifest.Source{
			Filter:         f.Name,
			Version:        "1.4.0",
			Repository:     "ghcr.io/acme/filters/" + f.Name,
			Tag:            "1.4.0",
			ManifestDigest: manifestDigest,
			URL:            "https://filters.example.com/" + f.Name + "/1.4.0/" + f.Name + ".wasm",
			WasmSHA256:     wasmSHA256,
		})
	}
	return r
}

// Every form of the filters in testdata/filters is compared with a golden file, which a person
// has read and the consumers' own code in test/consumers has accepted.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, omitted, err := objects.Render(request(load(t)...))
	if err != nil {
		t.Fatal(err)
	}
	var reasons strings.Builder
	for _, o := range omitted {
		reasons.WriteString(o.Filter + ": no " + o.Form + ", because " + o.Reason + "\n")
	}
	files = append(files, manifest.File{Path: "omitted.txt", Content: reasons.String()})
	if *update {
		if err := os.RemoveAll(golden); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		path := filepath.Join(golden, filepath.FromSlash(file.Path))
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(file.Content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), file.Content); diff != "" {
			t.Errorf("%s differs; if that is meant, run go test ./objects -update and then the judges in test/consumers (-want +got):\n%s", path, diff)
		}
	}
	err = fs.WalkDir(os.DirFS(golden), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !slices.ContainsFunc(files, func(f manifest.File) bool { return f.Path == path }) {
			t.Errorf("%s is not rendered any more", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
