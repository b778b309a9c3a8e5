package repository

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/gotest"
)

// goMod is what is tested of a go.mod, as "go mod edit -json" writes it:
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

// old is the module that stays with old versions: TinyGo refuses newer ones of Go.
const old = "filter"

// TestVersions: where a module of ours requires another one directly, all others that
// require it have the same version, so that an update is tested everywhere at once.
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

// drifted says which modules have two versions, and how to change that.
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
		".":         `{"Require": [{"Path": "a.com/direct", "Version": "v1.0.0"}, {"Path": "a.com/same", "Version": "v1.0.0"}, {"Path": "a.com/deep", "Version": "v1.0.0", "Indirect": true}]}`,
		"test/kind": `{"Require": [{"Path": "a.com/direct", "Version": "v1.1.0", "Indirect": true}, {"Path": "a.com/same", "Version": "v1.0.0"}, {"Path": "a.com/deep", "Version": "v1.1.0", "Indirect": true}]}`,
	} {
		var mod goMod
		if err := json.Unmarshal([]byte(text), &mod); err != nil {
			t.Fatal(err)
		}
		mods[folder] = mod
	}
	problems := drifted(mods)
	if len(problems) != 1 || !strings.HasPrefix(problems[0], "a.com/direct has several versions: . v1.0.0, test/kind v1.1.0; ") {
		t.Errorf("found %q", problems)
	}
}
