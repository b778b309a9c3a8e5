package release_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/release"
)

func TestParseShard(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]release.Shard{"": {}, "1/1": {}, "2/3": {Number: 2, Count: 3}} {
		if got, err := release.ParseShard(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"0/3", "4/3", "1", "1/", "/3", "-1/3", "1/3/5", "a/b", "01/3", "99999/99999"} {
		if got, err := release.ParseShard(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

// TestDivide: every filter is in one part, none is empty, and the heaviest is not beside others
// as long as there are lighter parts.
func TestDivide(t *testing.T) {
	t.Parallel()
	dist := t.TempDir()
	var filters []catalog.Filter
	var names []string
	for i := range 25 {
		name := fmt.Sprintf("f%02d", i)
		filters, names = append(filters, catalog.Filter{Name: name}), append(names, name)
	}
	for n, want := range map[int]int{0: 2, 1: 1, 3: 3, 25: 25, 100: 25} {
		parts, err := release.Divide(filters, dist, n)
		if err != nil || len(parts) != want {
			t.Fatalf("%d parts become %d, %v", n, len(parts), err)
		}
		all := slices.Concat(parts...)
		slices.Sort(all)
		if !slices.Equal(all, names) {
			t.Errorf("%d parts have %v", n, all)
		}
		for _, part := range parts {
			if most := (len(filters) + want - 1) / want; len(part) == 0 || len(part) > most {
				t.Errorf("of %d parts, one has %v", n, part)
			}
		}
	}
	if _, err := release.Divide(filters, dist, -1); err == nil {
		t.Error("-1 parts are possible")
	}

	few := filters[:4]
	for i, f := range few {
		options := wasmtest.Filter()
		options.Custom = strings.Repeat("x", []int{100, 9000, 200, 300}[i])
		writeModule(t, dist, f.Name, wasmtest.Encode(options))
	}
	got, err := release.Divide(few, dist, 2)
	if want := [][]string{{"f01"}, {"f00", "f02", "f03"}}; err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("by size it is %v, %v; want %v", got, err, want)
	}
	// What was not built has no size, and so no size counts.
	if got, err := release.Divide(filters[:6], dist, 2); err != nil || len(got[0]) != 3 {
		t.Errorf("without two sizes it is %v, %v", got, err)
	}
}

func writeModule(t *testing.T, dist, name string, wasm []byte) {
	t.Helper()
	record, err := json.Marshal(build.Record{RecordVersion: build.RecordVersion, Name: name, WasmSHA256: checksum.Bytes(wasm), Size: int64(len(wasm))})
	if err != nil {
		t.Fatal(err)
	}
	project{dist}.write(t, map[string]string{name + ".wasm": string(wasm), name + ".json": string(record)})
}

// fiveFilters is a project with a tag, and filters for several parts.
func fiveFilters(t *testing.T) project {
	t.Helper()
	p := newProject(t)
	for _, name := range []string{"one", "three", "two"} {
		p.write(t, map[string]string{"filter/" + name + "/main.go": "package main\n", "filter/" + name + "/filter.yaml": metadata})
	}
	p.commit(t, "five")
	p.git(t, "tag", "v1.4.0")
	return p
}

// shards releases each part in a clone of its own, and returns the folder with what they left.
func shards(t *testing.T, p project, n int) string {
	t.Helper()
	kept, _ := readJobs(t)
	parts := t.TempDir()
	for k := 1; k <= n; k++ {
		clone := p.clone(t)
		j := job{Dir: clone.dir, Version: "v1.4.0", Until: release.StepE2E, Shard: fmt.Sprintf("%d/%d", k, n)}
		j.must(t)
		if out := j.must(t); !regexp.MustCompile(`(?m)^e2e +confirmed`).MatchString(out) {
			t.Errorf("a second run of part %d does it again:\n%s", k, out)
		}
		for i, pattern := range kept {
			kept[i] = strings.TrimPrefix(pattern, "dist/")
		}
		keep(t, filepath.Join(clone.dir, "dist"), filepath.Join(parts, fmt.Sprintf("part-%d", k)), kept)
	}
	return parts
}

// TestShards: what is released in three parts is, byte for byte, what one machine releases.
func TestShards(t *testing.T) {
	t.Parallel()
	p := fiveFilters(t)
	parts := shards(t, p, 3)
	joined, alone := p.clone(t), p.clone(t)
	joining := job{Dir: joined.dir, Version: "v1.4.0", Until: release.StepE2E, Parts: parts}
	out := joining.must(t)
	for _, step := range []string{release.StepBuild, release.StepRebuild, release.StepE2E} {
		if !regexp.MustCompile(`(?m)^` + step + ` +confirmed`).MatchString(out) {
			t.Errorf("%s is done again:\n%s", step, out)
		}
	}
	// What belongs to no filter is tested here, and nowhere else.
	if log := joined.read(t, "dist/release/test.log"); !strings.HasSuffix(log, "tests filter\ntests test/e2e\n") || strings.Contains(log, "authtoken") {
		t.Errorf("joining tests\n%s", log)
	}
	job{Dir: alone.dir, Version: "v1.4.0"}.must(t)
	job{Dir: joined.dir, Version: "v1.4.0"}.must(t)

	got, want := joined.record(t), alone.record(t)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the record of one machine (-), and of three parts (+):\n%s", diff)
	}
	compared := 0
	for _, pattern := range []string{"*.wasm", "*.json", "release.md", "manifests/*/*", "storage/*/*", "storage/*/*/*", "registry/blobs/sha256/*"} {
		files, err := filepath.Glob(filepath.Join(alone.dir, "dist", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name, err := filepath.Rel(alone.dir, file)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(file); err != nil || info.IsDir() || filepath.Base(file) == release.RehearsalKey {
				continue
			}
			compared++
			if joined.read(t, name) != alone.read(t, name) {
				t.Errorf("%s of three parts differs", name)
			}
		}
	}
	if compared < 10 {
		t.Errorf("only %d files were compared", compared)
	}
}

// TestShardTests: a part tests the packages of its filters alone.
func TestShardTests(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	job{Dir: p.dir, Version: "1.4.0", Until: release.StepE2E, Shard: "2/2"}.must(t)
	if log := p.read(t, "dist/release/test.log"); !strings.HasSuffix(log, "a line of a test\ntests filter/headers/inner\n") {
		t.Errorf("the second part tests\n%s", log)
	}
}

func TestShardsRefuse(t *testing.T) {
	t.Parallel()
	p := fiveFilters(t)
	whole := shards(t, p, 3)
	foreign := newProject(t)
	foreign.write(t, map[string]string{"filter/alien/main.go": "package main\n", "filter/alien/filter.yaml": metadata})
	foreign.commit(t, "another")
	foreign.git(t, "tag", "v1.4.0")
	aliens := shards(t, foreign, 1)
	for name, c := range map[string]struct {
		change func(t *testing.T, parts string)
		want   string
	}{
		"missing": {func(t *testing.T, parts string) {
			if err := os.RemoveAll(filepath.Join(parts, "part-2")); err != nil {
				t.Fatal(err)
			}
		}, "no part has headers, two; the parts are part-1 (1/3), part-3 (3/3)"},
		"doubled": {func(t *testing.T, parts string) {
			copyFolder(t, filepath.Join(parts, "part-1"), filepath.Join(parts, "part-9"))
		}, "filter authtoken is in two parts, part-1 and part-9"},
		"foreign": {func(t *testing.T, parts string) {
			copyFolder(t, filepath.Join(aliens, "part-1"), filepath.Join(parts, "part-0"))
		}, "part part-0 has filter alien, which is not in this release"},
		"other commit": {func(t *testing.T, parts string) {
			copyFolder(t, filepath.Join(aliens, "part-1"), filepath.Join(parts, "part-0"))
		}, "part part-0 is not of this release: its commit is"},
		"other compiler": {func(t *testing.T, parts string) {
			replaceIn(t, filepath.Join(parts, "part-3/one.json"), `"goVersion":"`, `"goVersion":"other `)
		}, "part part-3 has one built with tinygo"},
		"other toolchain": {func(t *testing.T, parts string) {
			replaceIn(t, filepath.Join(parts, "part-3/release/state.json"), `"goToolchain": ""`, `"goToolchain": "go1.22.1"`)
		}, `part part-3 is not of this release: its Go toolchain is "go1.22.1"`},
		"other Envoy": {func(t *testing.T, parts string) {
			replaceIn(t, filepath.Join(parts, "part-3/release/state.json"), `"1.40.0"`, `"1.41.0"`)
		}, "part part-3 ran in Envoy 1.36.4, 1.41.0"},
		"other bytes": {func(t *testing.T, parts string) {
			replaceIn(t, filepath.Join(parts, "part-2/headers.wasm"), "headers", "HEADERS")
		}, "part part-2: module headers: changed after it was built"},
		"not tested": {func(t *testing.T, parts string) {
			replaceIn(t, filepath.Join(parts, "part-1/release/state.json"), `"tested": true`, `"tested": false`)
		}, "part part-1: it was not built twice, tested and played to the end"},
		"no state": {func(t *testing.T, parts string) {
			replaceIn(t, filepath.Join(parts, "part-1/release/state.json"), `{`, `?`)
		}, "part part-1: "},
		"nothing": {func(t *testing.T, parts string) {
			for i := range 3 {
				if err := os.RemoveAll(filepath.Join(parts, fmt.Sprintf("part-%d", i+1))); err != nil {
					t.Fatal(err)
				}
			}
		}, "there is none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parts := t.TempDir()
			copyFolder(t, whole, parts)
			c.change(t, parts)
			clone := p.clone(t)
			job{Dir: clone.dir, Version: "v1.4.0", Until: release.StepE2E, Parts: parts}.fail(t, c.want)
			if left, _ := filepath.Glob(filepath.Join(clone.dir, "dist", "*.wasm")); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
	for name, c := range map[string]struct {
		job  job
		want string
	}{
		"published":  {job{Shard: "1/2"}, "a part of a release is not published"},
		"both":       {job{Shard: "1/2", Parts: whole, Until: release.StepE2E}, "parts are joined without a shard"},
		"too many":   {job{Shard: "6/6", Until: release.StepE2E}, "shard 6/6: there are 5 filters"},
		"unreadable": {job{Shard: "3/2", Until: release.StepE2E}, "is not K/N"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.job.Dir, c.job.Version = p.clone(t).dir, "v1.4.0"
			c.job.fail(t, c.want)
		})
	}
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func replaceIn(t *testing.T, file, old, by string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(content), old) {
		t.Fatalf("%s has no %s: %v", file, old, err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(content), old, by)), 0o600); err != nil {
		t.Fatal(err)
	}
}
