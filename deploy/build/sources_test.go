package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// One command for all filters lists the same as one command for each: the inputs in a filter's
// record, and its bill of materials, are the same.
func TestSources(t *testing.T) {
	t.Parallel()
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join("..", "..", "filter")})
	if err != nil {
		t.Fatal(err)
	}
	list := lister{toolchain: Toolchain{Name: Go, GoVersion: GoToolchain}}
	together := list.all(t.Context(), filters)
	if len(together) != len(filters) {
		t.Errorf("the sources of %d filters were listed together, and there are %d", len(together), len(filters))
	}
	for _, f := range filters {
		alone, err := list.one(t.Context(), f.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := described(t, together[f.Dir]), described(t, alone); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is made of\n%+v, and alone of\n%+v", f.Name, got, want)
		}
	}
}

type description struct {
	inputs   map[string]string
	modules  []GoModule
	packages []string
}

func described(t *testing.T, packages []Package) description {
	t.Helper()
	var d description
	for _, p := range packages {
		d.packages = append(d.packages, p.ImportPath)
	}
	slices.Sort(d.packages)
	sources, err := readSources(packages)
	if err != nil {
		t.Fatal(err)
	}
	d.inputs, d.modules = sources.Inputs, goModules(packages)
	if len(d.packages) < 3 || len(d.modules) < 2 {
		t.Errorf("few sources: %+v", d)
	}
	return d
}

// With TinyGo's tags the go command lists the same files as TinyGo itself. So publishing does
// not need TinyGo.
func TestSourcesOfTinyGo(t *testing.T) {
	t.Parallel()
	compiler, err := Find(TinyGo, "", "")
	if errors.Is(err, ErrNoTinyGo) {
		t.Log("TinyGo is not installed, and lists nothing")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	toolchain, err := compiler.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(toolchain.BuildTags, "scheduler.none") || !slices.Contains(toolchain.BuildTags, "custommalloc") {
		t.Errorf("its build tags are %q", toolchain.BuildTags)
	}
	c := compiler.(tinyGoCompiler)
	dir, err := filepath.Abs("../../filter/headers")
	if err != nil {
		t.Fatal(err)
	}
	text, err := output(t.Context(), dir, c.env(), c.path, slices.Concat([]string{"list"}, tinyGoTarget, []string{"-json", "-deps", "."})...)
	if err != nil {
		t.Fatal(err)
	}
	want, err := parseList(text, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	got, err := lister{toolchain: toolchain}.one(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if g, w := described(t, got), described(t, want[0]); !reflect.DeepEqual(g, w) {
		t.Errorf("the go command lists\n%+v, and TinyGo\n%+v", g, w)
	}
}

// Tags choose files. A package that only TinyGo's standard library has is not an error.
func TestSourcesByTags(t *testing.T) {
	t.Parallel()
	dir := leastModule(t)
	writeFile(t, dir, "tinygo.go", "//go:build tinygo\n\npackage main\n\nimport (\n\t_ \"embed\"\n\t_ \"machine\"\n)\n\n//go:embed table.txt\nvar table string\n")
	writeFile(t, dir, "go.go", "//go:build !tinygo\n\npackage main\n")
	writeFile(t, dir, "table.txt", "1")
	filters := []catalog.Filter{{Name: "least", Dir: dir}}
	for want, toolchain := range map[string]Toolchain{
		"go.go go.mod main.go":               {Name: Go, GoVersion: GoToolchain},
		"go.mod main.go table.txt tinygo.go": {Name: TinyGo, GoVersion: GoToolchain, BuildTags: []string{"tinygo.wasm", "tinygo", "scheduler.none"}},
	} {
		sources, err := ReadSources(t.Context(), filters, toolchain)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for name := range sources[0].Inputs {
			names = append(names, strings.TrimPrefix(name, "example.com/least/"))
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want || len(sources[0].Own) != len(names) {
			t.Errorf("%s: the sources are %s, want %s; own are %q", toolchain.Name, got, want, sources[0].Own)
		}
	}
}

// meanwhile is a compiler that saves a source file while it runs.
type meanwhile struct {
	leakyTinyGo
	save func()
}

func (m meanwhile) Compile(_ context.Context, _, out string) error {
	m.save()
	return os.WriteFile(out, wasmtest.Encode(wasmtest.Filter()), 0o644)
}

// If a file is saved while the compiler runs, either version may be in the module. So neither
// gets a record.
func TestSavedWhileCompiling(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"main.go": "package main\n\nfunc main() {}\n\nvar saved = true\n",
		"new.go":  "package main\n",
		"go.mod":  "module example.com/least\n\ngo 1.21\n",
	} {
		dist, dir := t.TempDir(), leastModule(t)
		save := func() { writeFile(t, dir, name, content) }
		j := job{meanwhile{save: save}, lister{toolchain: Toolchain{Name: Go, GoVersion: GoToolchain}}, catalog.Filter{Name: "least", Dir: dir}, nil, dist}
		_, _, err := j.run(t.Context(), false)
		if err == nil || !strings.Contains(err.Error(), "the sources changed while they were compiled: "+filepath.Join(dir, name)) {
			t.Errorf("%s: error is %v", name, err)
		}
		if entries, _ := os.ReadDir(dist); len(entries) != 0 {
			t.Errorf("%s: dist holds %v", name, entries)
		}
		if _, _, err := j.run(t.Context(), false); err != nil {
			t.Errorf("%s: built again: %v", name, err)
		}
	}
}

// leastModule writes a Go module with a main package and returns its folder.
func leastModule(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "least")
	writeFile(t, dir, "go.mod", "module example.com/least\n\ngo 1.22\n")
	writeFile(t, dir, "main.go", "package main\n\nfunc main() {}\n")
	return dir
}

func writeFile(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
