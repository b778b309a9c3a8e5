package catalog_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

const metadata = "title: A\ndescription: Does a thing.\nlicense: Apache-2.0\n"

// folder makes a folder of files. A name that ends in a slash is a folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// withoutColumn is an error's text with only the line of its place.
func withoutColumn(err error) string {
	return regexp.MustCompile(`^(\S+:[0-9]+):[0-9]+`).ReplaceAllString(err.Error(), "$1")
}

func names(filters []catalog.Filter) []string {
	var list []string
	for _, f := range filters {
		list = append(list, f.Name)
	}
	return list
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"go.mod":                "module x",
		"second/main.go":        "package main",
		"second/filter.yaml":    metadata + "example:\n  \"on\": response\n  count: 3\n",
		"first/main.go":         "package main",
		"first/filter.yaml":     metadata,
		"internal/conf/conf.go": "package conf",
		"helper/help.go":        "package helper",
	})
	filters, err := catalog.Load(catalog.LoadOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(filters); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("filters are %v", got)
	}
	if filters[0].Dir != filepath.Join(dir, "first") || filters[0].Metadata.Title != "A" {
		t.Errorf("first filter is %+v", filters[0])
	}
	example, ok := filters[1].Metadata.Example.(map[string]any)
	if !ok || example["on"] != "response" {
		t.Errorf("example is %#v", filters[1].Metadata.Example)
	}

	filters, err = catalog.Load(catalog.LoadOptions{Dir: dir, Names: []string{"second"}})
	if err != nil || !slices.Equal(names(filters), []string{"second"}) {
		t.Errorf("narrowed to %v, %v", names(filters), err)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		names []string
		want  string
	}{
		"no filters":    {files: map[string]string{"internal/x.go": ""}, want: "no folder in "},
		"no metadata":   {files: map[string]string{"a/main.go": ""}, want: "has a main.go but no filter.yaml"},
		"no main":       {files: map[string]string{"a/filter.yaml": metadata}, want: "has a filter.yaml but no main.go"},
		"wanted":        {files: map[string]string{"a/main.go": "", "a/filter.yaml": metadata}, names: []string{"b"}, want: `find filter "b"`},
		"bad name":      {files: map[string]string{"A_b/main.go": "", "A_b/filter.yaml": metadata}, want: `filter name "A_b"`},
		"bad metadata":  {files: map[string]string{"a/main.go": "", "a/filter.yaml": "titel: x"}, want: `a/filter.yaml:1:1: unknown field "titel"; did you mean "title"?`},
		"missing field": {files: map[string]string{"a/main.go": "", "a/filter.yaml": "title: x\nlicense: MIT"}, want: "a/filter.yaml: description is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := catalog.Load(catalog.LoadOptions{Dir: folder(t, test.files), Names: test.names})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q in it", err, test.want)
			}
		})
	}
	if _, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a missing folder is no error")
	}
}

// TestLoadMisplaced: something that looks like a filter in the wrong place is never silently
// left out.
func TestLoadMisplaced(t *testing.T) {
	t.Parallel()
	const below, symlink = "has a filter.yaml, and filters are in folders directly below ", "is a symlink, and git holds a symlink"
	elsewhere := folder(t, map[string]string{"main.go": "", "filter.yaml": metadata, "only/main.go": "", "no/filter.go": ""})
	for name, test := range map[string]struct {
		files map[string]string
		links map[string]string // from, to
		names []string
		want  string // empty: it is no filter, and nothing is wrong
	}{
		"one level deeper":    {files: map[string]string{"group/b/main.go": "", "group/b/filter.yaml": metadata}, want: "group/b " + below},
		"two levels deeper":   {files: map[string]string{"group/x/b/filter.yaml": metadata}, want: "group/x/b " + below},
		"a module of its own": {files: map[string]string{"group/b/go.mod": "", "group/b/filter.yaml": metadata}, want: "group/b " + below},
		"within a filter":     {files: map[string]string{"a/b/filter.yaml": metadata}, want: "a/b " + below},
		"symlink":             {links: map[string]string{"b": elsewhere}, want: "/b " + symlink},
		"wanted symlink":      {links: map[string]string{"b": elsewhere}, names: []string{"b"}, want: "/b " + symlink},
		"symlink deeper":      {links: map[string]string{"a/b": elsewhere}, want: "a/b " + below},
		"symlink to a half":   {links: map[string]string{"b": elsewhere + "/only"}, want: "b has a main.go but no filter.yaml"},
		"symlink to nothing":  {links: map[string]string{"b": elsewhere + "/none"}, want: "/b is a symlink that leads nowhere"},

		"symlink to no filter":  {links: map[string]string{"b": elsewhere + "/no", "a/b": elsewhere + "/no", "c": elsewhere + "/main.go", "a/c": elsewhere + "/main.go", "a/d": elsewhere + "/none"}},
		"an editor's lock":      {links: map[string]string{".#b": elsewhere + "/none"}},
		"what is not looked at": {files: map[string]string{"a/testdata/b/filter.yaml": metadata, "internal/b/filter.yaml": metadata, "vendor/b/filter.yaml": metadata, "_b/c/filter.yaml": metadata, "a/.b/filter.yaml": metadata}},
		"another's folder":      {files: map[string]string{"group/b/filter.yaml": metadata}, names: []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"a/main.go": "", "a/filter.yaml": metadata}
			maps.Copy(files, test.files)
			dir := folder(t, files)
			for from, to := range test.links {
				if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
					t.Fatal(err)
				}
			}
			filters, err := catalog.Load(catalog.LoadOptions{Dir: dir, Names: test.names})
			if test.want == "" && (err != nil || !slices.Equal(names(filters), []string{"a"})) {
				t.Errorf("filters %v, error %v", names(filters), err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error is %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestReadMetadataErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ yaml, want string }{
		"empty":           {"", ": title is missing"},
		"far unknown":     {metadata + "zzzzzzz: 1\n", `:4: unknown field "zzzzzzz"`},
		"near unknown":    {metadata + "examples: 1\n", `:4: unknown field "examples"; did you mean "example"?`},
		"wrong type":      {"title: [a]\n", ":1: "},
		"no YAML":         {"title: \"a\n", ":1: "},
		"not an object":   {"- a\n", ":1: "},
		"two documents":   {metadata + "---\n" + metadata, ": more than one YAML document"},
		"several lines":   {"title: |\n  a\n  b\ndescription: b\nlicense: c\n", ": title has more than one line"},
		"duplicate field": {metadata + "title: B\n", ":4: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkEditor(t, name, test.yaml)
			path := filepath.Join(folder(t, map[string]string{"filter.yaml": test.yaml}), "filter.yaml")
			_, err := catalog.ReadMetadata(path)
			if err == nil || !strings.HasPrefix(withoutColumn(err), path+test.want) {
				t.Errorf("error is %v, want it to start with the path and %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %v", err)
			}
		})
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "headers", "auth-token2", strings.Repeat("a", 40)} {
		if err := catalog.CheckName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "A", "1a", "-a", "a-", "a_b", "a.b", "a/b", "a b", "..", strings.Repeat("a", 41)} {
		if err := catalog.CheckName(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}
