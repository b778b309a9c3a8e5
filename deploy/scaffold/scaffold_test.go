package scaffold_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/scaffold"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/local"
)

// copyFilters copies what filters are built with to a separate repository.
func copyFilters(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, folder := range []string{"conf", "gohost", "httpheader", "internal", "vmtest"} {
		if err := os.CopyFS(filepath.Join(root, "filter", folder), os.DirFS(filepath.Join("../../filter", folder))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join("../../filter", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "filter", file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// A new filter is built, and its tests pass on its source and as a module, without further
// edits.
func TestNew(t *testing.T) {
	t.Parallel()
	const name = "my-filter-with-the-longest-name-there-is"
	root := copyFilters(t)
	dir, dist := filepath.Join(root, "filter"), filepath.Join(root, "dist")
	files, err := scaffold.New(scaffold.NewOptions{Name: name, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"config.go", "config_test.go", "doc.go", catalog.MetadataFile, "main.go", "main_test.go", filepath.Join(scenario.Folder, "puts-header.yaml")}
	for i := range want {
		want[i] = filepath.Join(dir, name, want[i])
	}
	if !slices.Equal(files, want) {
		t.Errorf("files are %q, want %q", files, want)
	}
	if entries, err := os.ReadDir(dir); err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") }) {
		t.Errorf("left in %s: %v, %v", dir, entries, err)
	}

	filters, err := catalog.Load(catalog.LoadOptions{Dir: dir})
	if err != nil || len(filters) != 1 || filters[0].Name != name {
		t.Fatalf("the catalog has %+v, %v", filters, err)
	}
	if filters[0].Metadata.Apply == nil {
		t.Error("no manifests would be rendered for it")
	}
	compilers := []string{build.Go}
	if _, err := build.Find(build.TinyGo, "", ""); err == nil {
		compilers = append(compilers, build.TinyGo)
	}
	for _, compiler := range compilers {
		modules, err := build.Build(t.Context(), build.Options{Filters: filters, Dist: dist, Compiler: compiler})
		if err != nil {
			t.Fatalf("build: %v", err)
		}
		t.Logf("%s: %d bytes", compiler, modules[0].Size)
		run(t, dir, []string{"SLIPWAY_DIST=" + dist}, "go", "test", "-count=1", "./"+name)
		scenariosHold(t, filters, modules[0].Path)
	}
	run(t, dir, nil, "go", "vet", "./"+name)
	if list := run(t, dir, nil, "gofmt", "-l", name); list != "" {
		t.Errorf("not formatted: %s", list)
	}
	if _, err := scaffold.New(scaffold.NewOptions{Name: name, Dir: dir}); !errors.Is(err, scaffold.ErrExists) {
		t.Errorf("made a second time: %v", err)
	}
}

// scenariosHold plays the scenarios of a filter in real Envoy.
func scenariosHold(t *testing.T, filters []catalog.Filter, module string) {
	t.Helper()
	scenarios, err := scenario.Load(filters)
	if err != nil || len(scenarios) == 0 {
		t.Fatalf("%d scenarios, %v", len(scenarios), err)
	}
	binary, err := envoy.Find(t.Context(), envoy.FindOptions{Path: os.Getenv("ENVOY_PATH")})
	if err != nil {
		t.Fatal(err)
	}
	results, err := local.Play(t.Context(), local.Options{
		Filters: filters, Modules: map[string]local.Module{filters[0].Name: {Path: module}}, Scenarios: scenarios, Envoys: []envoy.Binary{binary}, Dir: t.TempDir(),
	})
	if err := errors.Join(append(results.Failures, err)...); err != nil {
		t.Error(err)
	}
}

func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly"), env...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
	return string(output)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(copyFilters(t), "filter")
	if err := os.WriteFile(filepath.Join(dir, "afile"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"":                      `new filter: filter name "": it is empty`,
		"Hello":                 "capital letters, which an OCI repository and a Kubernetes name may not have; write hello",
		"2fa":                   "does not start with a letter, as a Kubernetes name must (RFC 1035)",
		"-a":                    "does not start with a letter",
		"a-":                    "ends with a hyphen, which an OCI repository and a Kubernetes name may not",
		"my_filter":             "other characters than a-z, 0-9 and hyphens, which are all that a Kubernetes name may have",
		"../evil":               "other characters",
		strings.Repeat("a", 41): "has 41 characters; use at most 40",
		"internal":              `"internal": it is taken: Go keeps folders of that name`,
		"gohost":                "it is taken: it is the bridge",
		"testdata":              "it is taken: the go command passes over",
		"afile":                 "afile exists already; choose another name",
	} {
		if _, err := scaffold.New(scaffold.NewOptions{Name: name, Dir: dir}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q in it", name, err, want)
		}
	}
	if _, err := scaffold.New(scaffold.NewOptions{Name: "a", Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "holds no Go module of filters") {
		t.Errorf("outside of the repository: %v", err)
	}
}
