package repository

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/gotest"
)

// goMod holds the tested parts of a go.mod, as "go mod edit -json" writes it:
// https://go.dev/ref/mod#go-mod-edit
type goMod struct {
	Go      string
	Require []struct {
		Path, Version string
		Indirect      bool
	}
}

// readGoMods returns the go.mod of each module, by its folder.
func readGoMods(t *testing.T) map[string]goMod {
	t.Helper()
	folders, err := gotest.Modules("../..")
	if err != nil {
		t.Fatal(err)
	}
	mods := map[string]goMod{}
	for _, folder := range folders {
		text, err := output("go", "mod", "edit", "-json", filepath.Join(folder, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		var mod goMod
		if err := json.Unmarshal([]byte(text), &mod); err != nil {
			t.Fatal(err)
		}
		mods[folder] = mod
	}
	return mods
}

// old is the module that stays on old versions, because TinyGo refuses newer ones of
// Go.
const old = "filter"

// TestVersions: where a module of ours requires another one directly, all others that
// require it have the same version. So an update is tested everywhere at once.
func TestVersions(t *testing.T) {
	t.Parallel()
	mods := readGoMods(t)
	delete(mods, old)
	for _, problem := range drifted(mods) {
		t.Error(problem)
	}
	for folder, mod := range mods {
		if want := mods["."].Go; mod.Go != want {
			t.Errorf("%s/go.mod says go %s, and the one above all says go %s", folder, mod.Go, want)
		}
	}
}

// drifted lists the modules that have two versions, and says how to change that.
func drifted(mods map[string]goMod) []string {
	direct := map[string]bool{}
	versions := map[string]map[string]string{} // by module, then by folder
	for folder, mod := range mods {
		for _, r := range mod.Require {
			direct[r.Path] = direct[r.Path] || !r.Indirect
			if versions[r.Path] == nil {
				versions[r.Path] = map[string]string{}
			}
			versions[r.Path][folder] = r.Version
		}
	}
	var problems []string
	for path, by := range versions {
		distinct := slices.Compact(slices.Sorted(maps.Values(by)))
		if !direct[path] || len(distinct) == 1 || strings.HasPrefix(path+"/", slipway) {
			continue
		}
		var where []string
		for _, folder := range slices.Sorted(maps.Keys(by)) {
			where = append(where, folder+" "+by[folder])
		}
		problems = append(problems, path+" has several versions: "+strings.Join(where, ", ")+
			"; run \"go get "+path+"@VERSION && go mod tidy\" in the folders that are behind")
	}
	return problems
}

// The check can fail.
func TestDrifted(t *testing.T) {
	t.Parallel()
	mods := map[string]goMod{}
	for folder, text := range map[string]string{
		".":                   `{"Require": [{"Path": "a.com/direct", "Version": "v1.0.0"}, {"Path": "a.com/same", "Version": "v1.0.0"}, {"Path": "a.com/deep", "Version": "v1.0.0", "Indirect": true}]}`,
		"deploy/rollout/kind": `{"Require": [{"Path": "a.com/direct", "Version": "v1.1.0", "Indirect": true}, {"Path": "a.com/same", "Version": "v1.0.0"}, {"Path": "a.com/deep", "Version": "v1.1.0", "Indirect": true}]}`,
	} {
		var mod goMod
		if err := json.Unmarshal([]byte(text), &mod); err != nil {
			t.Fatal(err)
		}
		mods[folder] = mod
	}
	problems := drifted(mods)
	if len(problems) != 1 || !strings.HasPrefix(problems[0], "a.com/direct has several versions: . v1.0.0, deploy/rollout/kind v1.1.0; ") {
		t.Errorf("found %q", problems)
	}
}

// TestTidy: each module requires, and has the sums of, what its packages and their tests
// import. What one module newly imports, those that import it have to know, too.
func TestTidy(t *testing.T) {
	t.Parallel()
	for folder := range readGoMods(t) {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			cmd := goCommand(t.Context(), filepath.Join("../..", folder), nil, nil, "mod", "tidy", "-diff")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s is not tidy; run \"go mod tidy\" there: %v\n%s", folder, err, out)
			}
		})
	}
}

// TestEditor: the command that CONTRIBUTING.md gives to editors makes a workspace of all
// modules, in which every package is found with all that it imports.
func TestEditor(t *testing.T) {
	t.Parallel()
	const command = "go work init && go work use -r ."
	if !strings.Contains(readPages(t)["CONTRIBUTING.md"], "\n    "+command+"\n") {
		t.Fatalf("CONTRIBUTING.md does not have the command %q", command)
	}
	ignored, err := os.ReadFile("../../.gitignore")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"go.work", "go.work.sum"} {
		if !slices.Contains(strings.Fields(string(ignored)), "/"+file) {
			t.Errorf("git does not ignore %s", file)
		}
	}
	// A workspace that is there already belongs to the user, so this one goes
	// elsewhere.
	workspace := filepath.Join(t.TempDir(), "go.work")
	run := func(name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(os.Environ(), "GOWORK="+workspace)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
		}
		return string(out)
	}
	run("sh", "-c", command)
	packages := run("go", "list", "-deps", "-test", "-f", "{{.ImportPath}}", "work")
	for folder := range readGoMods(t) {
		if !strings.Contains(packages, slipway+strings.TrimPrefix(folder, ".")) {
			t.Errorf("the workspace has no package of module %s", folder)
		}
	}
}

// TestLayout: CONTRIBUTING.md names every module and every folder of test/, and nothing
// else; a new one has to earn its line.
func TestLayout(t *testing.T) {
	t.Parallel()
	_, layout, _ := strings.Cut(readPages(t)["CONTRIBUTING.md"], "\n## Layout\n")
	layout, modules, _ := strings.Cut(layout, "\n### Modules\n")
	modules, _, _ = strings.Cut(modules, "\n## ")
	if got, want := firstCells(modules), slices.Sorted(maps.Keys(readGoMods(t))); !slices.Equal(got, want) {
		t.Errorf("the modules are %q, and the table has %q", want, got)
	}
	entries, err := os.ReadDir("../../test")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := "`" + entry.Name() + "`"; entry.IsDir() && !strings.Contains(layout, name) {
			t.Errorf("test/%s is not in the table", entry.Name())
		}
	}
}

// firstCells are the code in the first cells of a table's rows, sorted.
func firstCells(table string) []string {
	var cells []string
	for line := range strings.Lines(table) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			cell, _, _ := strings.Cut(rest, "`")
			cells = append(cells, strings.TrimSuffix(cell, "/"))
		}
	}
	slices.Sort(cells)
	return cells
}
