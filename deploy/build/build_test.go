package build_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect"
)

// leastFilter is a filter that does nothing.
const leastFilter = `package main

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	_ "github.com/slipway-wasm/slipway/filter/gohost"
)

func main() {}

func init() { proxywasm.SetVMContext(&vmContext{}) }

type vmContext struct{ types.DefaultVMContext }
`

// filterFolder writes a Go module with filters, as in another repository, and returns its
// folder.
func filterFolder(t *testing.T, sources map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	ours, err := filepath.Abs("../../filter")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(ours, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"go.sum": string(sum),
		"go.mod": `module example.com/filters

go 1.22.0

require (
	github.com/slipway-wasm/slipway/filter v0.0.0
	github.com/tetratelabs/proxy-wasm-go-sdk v0.24.0
)

replace github.com/slipway-wasm/slipway/filter => ` + ours + "\n",
	}
	for name, source := range sources {
		files[name+"/main.go"] = source
		files[name+"/filter.yaml"] = "title: A\ndescription: B\nlicense: MIT\n"
	}
	for name, content := range files {
		writeTo(t, dir, name, content)
	}
	return dir
}

// options builds the filters in the folder with the ordinary Go compiler.
func options(t *testing.T, folder string) build.Options {
	t.Helper()
	filters, err := catalog.Load(catalog.LoadOptions{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	return build.Options{Filters: filters, Dist: filepath.Join(folder, "dist"), Compiler: build.Go}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	opts := options(t, filterFolder(t, map[string]string{"least": leastFilter}))
	var out bytes.Buffer
	opts.Out = &out
	modules, err := build.Build(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	m := modules[0]
	wasm, err := os.ReadFile(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	report, err := inspect.Check(t.Context(), wasm, inspect.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "least" || m.Size != int64(len(wasm)) || m.ABI != "0.2.0" || m.SDKVersion() != "v0.24.0" {
		t.Errorf("record is %+v", m.Record)
	}
	if !slices.Equal(m.Imports, report.Imports) || m.EnvoyMin != "1.33" {
		t.Errorf("record's inspection is %+v", m.Report)
	}
	if m.Compiler.Name != build.Go || m.Compiler.GoVersion != build.GoToolchain || len(m.Compiler.Flags) == 0 {
		t.Errorf("compiler is %+v", m.Compiler)
	}
	if !strings.HasPrefix(out.String(), "compiler: go "+m.Compiler.Version+"\n") {
		t.Errorf("the compiler is not announced in %q", out.String())
	}
	for _, file := range []string{m.Path, filepath.Join(opts.Dist, "least.json")} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o644 {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}

	loaded, err := build.Load(opts.Dist, []string{"least"})
	if err != nil {
		t.Fatal(err)
	}
	// A release compares a module that was up to date with one that it builds again.
	if !reflect.DeepEqual(loaded[0], m) {
		t.Errorf("loaded %+v, built %+v", loaded[0], m)
	}

	out.Reset()
	if _, err := build.Build(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "least: up to date") {
		t.Errorf("an unchanged filter is compiled again: %q", out.String())
	}
	source := filepath.Join(opts.Filters[0].Dir, "main.go")
	if err := os.WriteFile(source, []byte(leastFilter+"\nvar _ = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if _, err := build.Build(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "least: built") {
		t.Errorf("a changed filter is not compiled again: %q", out.String())
	}
}

// TestCheckSources: a module matches the sources until one of them changes, whatever kind of
// file it is. Then the next build compiles it again.
func TestCheckSources(t *testing.T) {
	t.Parallel()
	folder := filterFolder(t, map[string]string{"least": leastFilter})
	for name, content := range map[string]string{
		"least/main.go":          strings.Replace(leastFilter, "import (", "import (\n\t\"embed\"\n", 1) + "\n//go:embed tables\nvar tables embed.FS\n",
		"least/tables/one.txt":   "1",
		"least/constants.h":      "#define ONE 1\n",
		"least/objects_linux.go": "package main\n",
	} {
		writeTo(t, folder, name, content)
	}
	opts := options(t, folder)
	modules, err := build.Build(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	own, err := build.CheckSources(t.Context(), opts.Filters, modules)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum", "least/main.go", "least/constants.h", "least/tables/one.txt"} {
		if !slices.Contains(own, filepath.Join(folder, name)) {
			t.Errorf("%s is not among %q", name, own)
		}
	}
	for _, file := range own {
		if strings.Contains(file, "proxy-wasm-go-sdk") {
			t.Errorf("%s is vouched for by its version", file)
		}
	}

	// Another job has the same sources in another folder, and the built modules.
	elsewhere := t.TempDir()
	if err := os.CopyFS(elsewhere, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	there := options(t, elsewhere)
	loaded, err := build.Load(there.Dist, []string{"least"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := build.CheckSources(t.Context(), there.Filters, loaded); err != nil {
		t.Errorf("in another folder: %v", err)
	}

	goMod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	source, err2 := os.ReadFile(filepath.Join(folder, "least", "main.go"))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]struct{ file, content string }{
		"source":        {"least/main.go", string(source) + "\nvar _ = 1\n"},
		"no import":     {"least/main.go", "package main\n\nfunc main() {}\n"},
		"new source":    {"least/new.go", "package main\n"},
		"language":      {"go.mod", strings.Replace(string(goMod), "go 1.22", "go 1.23", 1)},
		"godebug":       {"go.mod", string(goMod) + "\ngodebug panicnil=1\n"},
		"toolchain":     {"go.mod", string(goMod) + "\ntoolchain go1.23.0\n"},
		"header":        {"least/constants.h", "#define ONE 2\n"},
		"assembly":      {"least/add_wasm.s", "\n"},
		"object":        {"least/object.syso", "x"},
		"embedded":      {"least/tables/one.txt", "2"},
		"new embedded":  {"least/tables/two.txt", "2"},
		"profile":       {"least/default.pgo", "x"},
		"sums":          {"go.sum", "\n"},
		"removed":       {"least/constants.h", ""},
		"for a test":    {"least/main_test.go", "package main\n"},
		"for another":   {"least/objects_linux.go", "package main\n\nvar _ = 1\n"},
		"documentation": {"least/README.md", "words"},
	} {
		path := filepath.Join(folder, change.file)
		before, readErr := os.ReadFile(path)
		writeTo(t, folder, change.file, change.content)
		switch name {
		case "removed":
			err = os.Remove(path)
		case "sums":
			// If go.sum lacks an entry, the go command itself reports an error.
			err = os.WriteFile(path, append(before, "example.com/other v1.0.0 h1:Xuwzknb4+OHBSYFXif0aBdV0F4MShL8L5YYFda9uUIs=\n"...), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err := build.CheckSources(t.Context(), opts.Filters, modules)
		switch name {
		case "for a test", "for another", "documentation":
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		default:
			want := "least: the sources changed since this was built: " + path + "; check out"
			if name == "no import" {
				want = strings.TrimSuffix(want, "; check out") + ", "
			}
			if !errors.Is(err, build.ErrSourcesChanged) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", name, err, want)
			}
		}
		if readErr == nil {
			err = os.WriteFile(path, before, 0o644)
		} else {
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := build.CheckSources(t.Context(), opts.Filters, modules); err != nil {
		t.Errorf("all is as it was: %v", err)
	}

	var out bytes.Buffer
	opts.Out = &out
	for file, content := range map[string]string{
		"go.mod":            strings.Replace(string(goMod), "go 1.22", "go 1.23", 1),
		"least/constants.h": "#define ONE 2\n",
	} {
		writeTo(t, folder, file, content)
		out.Reset()
		if _, err := build.Build(t.Context(), opts); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "least: built") {
			t.Errorf("%s changed: %s", file, out.String())
		}
	}
}

func writeTo(t *testing.T, folder, name, content string) {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestReproducible builds the same sources in two folders, time zones and umasks. Each build
// is a process of its own, because a process has only one umask.
func TestReproducible(t *testing.T) {
	t.Parallel()
	if folder := os.Getenv("TEST_REPRODUCIBLE_FOLDER"); folder != "" {
		opts := options(t, folder)
		opts.Force = true
		if _, err := build.Build(t.Context(), opts); err != nil {
			t.Fatal(err)
		}
		return
	}
	var results []string
	for _, zone := range []string{"UTC", "Pacific/Kiritimati"} {
		folder := filterFolder(t, map[string]string{"least": leastFilter})
		umask := map[string]string{"UTC": "022", "Pacific/Kiritimati": "077"}[zone]
		cmd := exec.CommandContext(t.Context(), "sh", "-c", `umask "$0" && exec "$@"`, umask, os.Args[0], "-test.run=^TestReproducible$")
		cmd.Env = append(os.Environ(), "TEST_REPRODUCIBLE_FOLDER="+folder, "TZ="+zone)
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		var result string
		for _, name := range []string{"least.wasm", "least.json"} {
			path := filepath.Join(folder, "dist", name)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			result += info.Mode().String() + string(content)
		}
		results = append(results, result)
	}
	if results[0] != results[1] {
		t.Error("two builds of the same sources differ")
	}
}

// TestFailedBuild: the content of dist stays, and the error names every failure.
func TestFailedBuild(t *testing.T) {
	t.Parallel()
	folder := filterFolder(t, map[string]string{
		"good":     leastFilter,
		"broken":   leastFilter,
		"nosdk":    leastFilter,
		"unlisted": leastFilter,
		"oldhabit": leastFilter,
		"panics":   leastFilter,
		"refuses":  leastFilter,
	})
	opts := options(t, folder)
	before, err := build.Build(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{
		"broken":   strings.Replace(leastFilter, "func main() {}", "func main() { undefinedFunction() }", 1),
		"nosdk":    "package main\n\nfunc main() {}\n",
		"oldhabit": strings.NewReplacer("func main() {}\n", "", "func init() {", "func main() {").Replace(leastFilter),
		"panics":   leastFilter + "\nfunc init() { panic(\"no luck\") }\n",
		"refuses": leastFilter + `
func (*vmContext) OnVMStart(int) types.OnVMStartStatus {
	proxywasm.LogCritical("not today")
	return types.OnVMStartStatusFailed
}
`,
		// This filter makes the go command fail for all filters that it lists together.
		"unlisted": "package main\n\nimport _ \"example.com/nowhere\"\n\nfunc main() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name, "main.go"), []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err = build.Build(t.Context(), opts)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"build broken with go ", "main.go:10:15: undefined: undefinedFunction",
		"build nosdk with go ", "no export proxy_abi_version_0_2_0",
		"build unlisted with go ", "example.com/nowhere",
		"build oldhabit with go ", "if main calls proxywasm.SetVMContext, call it in init",
		"build panics with go ", "_initialize traps", "no luck",
		"build refuses with go ", `proxy_on_vm_start returns false, and logs "not today"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "build good") {
		t.Errorf("a filter fails for its neighbours: %v", err)
	}
	if !errors.Is(err, inspect.ErrWouldNotLoad) {
		t.Errorf("error is not ErrWouldNotLoad: %v", err)
	}
	after, err := build.Load(opts.Dist, []string{"broken", "good", "nosdk", "oldhabit", "panics", "refuses", "unlisted"})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := asJSON(t, after), asJSON(t, before); a != b {
		t.Errorf("dist changed from %s to %s", b, a)
	}
	entries, err := os.ReadDir(opts.Dist)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 14 {
		t.Errorf("dist holds %v", entries)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	opts := options(t, filterFolder(t, map[string]string{"least": leastFilter}))
	if _, err := build.Load(opts.Dist, []string{"least"}); !errors.Is(err, build.ErrNotBuilt) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error of a missing module is %v", err)
	}
	modules, err := build.Build(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	wasm, record := modules[0].Path, filepath.Join(opts.Dist, "least.json")
	for name, damage := range map[string]func() error{
		"another module":   func() error { return os.WriteFile(wasm, []byte("\x00asm\x01\x00\x00\x00"), 0o644) },
		"a broken record":  func() error { return os.WriteFile(record, []byte("{"), 0o644) },
		"another's record": func() error { return os.WriteFile(record, []byte(`{"recordVersion":2,"name":"other"}`), 0o644) },
		"an older record":  func() error { return os.WriteFile(record, []byte(`{"recordVersion":1,"name":"least"}`), 0o644) },
		"a newer record":   func() error { return os.WriteFile(record, []byte(`{"recordVersion":3,"name":"least"}`), 0o644) },
		"unknown fields":   func() error { return os.WriteFile(record, []byte(`{"recordVersion":2,"nme":"least"}`), 0o644) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if _, err := build.Load(opts.Dist, []string{"least"}); !errors.Is(err, build.ErrChanged) {
			t.Errorf("%s: error is %v, want ErrChanged", name, err)
		}
		// A build repairs a damaged module even if no source changed.
		if _, err := build.Build(t.Context(), opts); err != nil {
			t.Fatal(err)
		}
		if _, err := build.Load(opts.Dist, []string{"least"}); err != nil {
			t.Errorf("%s: after another build: %v", name, err)
		}
	}
}

// TestPinnedGo: Slipway runs on the same Go that builds its filters, so that nobody needs two.
func TestPinnedGo(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "\ntoolchain "+build.GoToolchain+"\n") {
		t.Errorf("go.mod has no line %q", "toolchain "+build.GoToolchain)
	}
}

// TestExample: a filter must accept its own example, and may refuse an empty configuration.
func TestExample(t *testing.T) {
	t.Parallel()
	const picky = leastFilter + `
func (*vmContext) NewPluginContext(uint32) types.PluginContext { return &pluginContext{} }

type pluginContext struct{ types.DefaultPluginContext }

func (*pluginContext) OnPluginStart(int) types.OnPluginStartStatus {
	if configuration, _ := proxywasm.GetPluginConfiguration(); string(configuration) != "right" {
		proxywasm.LogCriticalf("%q is not right", configuration)
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}
`
	folder := filterFolder(t, map[string]string{"none": picky, "right": picky, "wrong": picky})
	for _, name := range []string{"right", "wrong"} {
		path := filepath.Join(folder, name, "filter.yaml")
		if err := os.WriteFile(path, []byte("title: A\ndescription: B\nlicense: MIT\nexample: "+name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := build.Build(t.Context(), options(t, folder))
	if err == nil || strings.Contains(err.Error(), "build none") || strings.Contains(err.Error(), "build right") ||
		!strings.Contains(err.Error(), `proxy_on_configure refuses the configuration, and logs "\"wrong\" is not right"`) {
		t.Errorf("error is %v", err)
	}
}
