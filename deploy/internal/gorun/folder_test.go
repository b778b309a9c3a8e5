package gorun

import (
	"archive/zip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

func TestArchiveOf(t *testing.T) {
	t.Parallel()
	slipway := func(version string, replace *debug.Module) *debug.BuildInfo {
		return &debug.BuildInfo{Deps: []*debug.Module{{Path: "example.com/other", Version: "v1.0.0"}, {Path: Slipway, Version: version, Sum: "h1:a", Replace: replace}}}
	}
	for name, c := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"required":              {slipway("v1.4.0", nil), Slipway + "@v1.4.0 h1:a"},
		"replaced by a folder":  {slipway("v1.4.0", &debug.Module{Path: "../slipway", Version: "(devel)"}), ""},
		"replaced by a fork":    {slipway("v1.4.0", &debug.Module{Path: "example.com/fork", Version: "v1.5.0", Sum: "h1:b"}), "example.com/fork@v1.5.0 h1:b"},
		"beside it, in go.work": {slipway("(devel)", nil), ""},
		"Slipway itself":        {&debug.BuildInfo{Main: debug.Module{Path: Slipway, Version: "v1.4.0"}}, ""},
	} {
		source, ok := archiveOf(c.info)
		got := ""
		if ok {
			got = source.String() + " " + source.sum
		}
		if got != c.want {
			t.Errorf("%s: compiled from %q, want %q", name, got, c.want)
		}
	}
}

const (
	commit = "0123456789ab"
	pseudo = "v1.4.1-0.20260101000000-" + commit
)

// proxy is a module proxy in a folder, with a module like Slipway that has a program in a
// module of its own.
type proxy struct{ dir string }

func (p proxy) add(t *testing.T, name, version string, files map[string]string) {
	t.Helper()
	base := filepath.Join(p.dir, name, "@v", version)
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		t.Fatal(err)
	}
	var archive strings.Builder
	w := zip.NewWriter(&archive)
	for file, content := range files {
		entry, err := w.Create(path.Join(name+"@"+version, file))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(entry, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for suffix, content := range map[string]string{
		".info": fmt.Sprintf(`{"Version": %q, "Time": "2026-01-01T00:00:00Z"}`, version), ".mod": files["go.mod"], ".zip": archive.String(),
	} {
		if err := os.WriteFile(base+suffix, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// alias answers a query, such as a commit, with a version.
func (p proxy) alias(t *testing.T, name, query, version string) {
	t.Helper()
	info, err := os.ReadFile(filepath.Join(p.dir, name, "@v", version+".info"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, name, "@v", query+".info"), info, 0o644); err != nil {
		t.Fatal(err)
	}
}

// slipway has a version of Slipway, which says hello, and of the program hello in the
// module below deploy/hello.
func (p proxy) slipway(t *testing.T, path, version, nested string) {
	t.Helper()
	p.add(t, path, version, map[string]string{
		"go.mod": "module " + Slipway + "\n\ngo 1.26\n", "go.sum": "",
		"hello.go": fmt.Sprintf("package slipway\n\nconst Hello = %q\n", "hello from "+path+" "+version),
	})
	p.add(t, path+"/deploy/hello", nested, map[string]string{
		"go.mod":  "module " + Slipway + "/deploy/hello\n\ngo 1.26\n\ntool " + Slipway + "/deploy/hello\n\nrequire " + Slipway + " v0.0.0-00010101000000-000000000000\n\nreplace " + Slipway + " => ../..\n",
		"go.sum":  "",
		"main.go": "package main\n\nimport slipway \"" + Slipway + "\"\n\nfunc main() { print(slipway.Hello) }\n",
	})
}

// newProxy starts with an empty module cache.
func newProxy(t *testing.T) proxy {
	t.Helper()
	p := proxy{t.TempDir()}
	cache := t.TempDir()
	t.Setenv("GOPROXY", "file://"+filepath.ToSlash(p.dir))
	t.Setenv("GONOSUMDB", "*")
	t.Setenv("GOFLAGS", "-modcacherw")
	t.Setenv("GOMODCACHE", cache)
	return p
}

// says runs the program in a folder of ours.
func says(t *testing.T, folder string) string {
	t.Helper()
	tool, err := Output(t.Context(), folder, "tool", "-n", "hello")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func required(version string) fetched {
	v := module.Version{Path: Slipway, Version: version}
	return fetched{required: v, Version: v}
}

func TestFolder(t *testing.T) {
	p := newProxy(t)
	p.slipway(t, Slipway, "v1.4.0", "v1.4.0")
	p.slipway(t, Slipway, pseudo, "v0.0.0-20260101000000-"+commit)
	p.alias(t, Slipway+"/deploy/hello", commit, "v0.0.0-20260101000000-"+commit)
	p.slipway(t, "example.com/fork", "v1.5.0", "v1.5.0")
	fork := required("v1.4.0")
	fork.Version = module.Version{Path: "example.com/fork", Version: "v1.5.0"}
	for name, c := range map[string]struct {
		source fetched
		want   string
	}{
		"a tag":    {required("v1.4.0"), "hello from " + Slipway + " v1.4.0"},
		"a commit": {required(pseudo), "hello from " + Slipway + " " + pseudo},
		"a fork":   {fork, "hello from example.com/fork v1.5.0"},
	} {
		t.Run(name, func(t *testing.T) {
			cache := t.TempDir()
			// All at once, as several targets may be.
			errs := make(chan error)
			for range 4 {
				go func() {
					_, err := c.source.folder(t.Context(), cache, "deploy/hello")
					errs <- err
				}()
			}
			for range 4 {
				if err := <-errs; err != nil {
					t.Fatal(err)
				}
			}
			folder, err := c.source.folder(t.Context(), cache, "deploy/hello")
			if err != nil {
				t.Fatal(err)
			}
			if got := says(t, folder); got != c.want {
				t.Errorf("the program says %q, want %q", got, c.want)
			}
			if left, err := filepath.Glob(filepath.Join(cache, "*", "*")); err != nil || len(left) != 1 {
				t.Errorf("it leaves %q, error %v", left, err)
			}
		})
	}
}

func TestFolderRefuses(t *testing.T) {
	p := newProxy(t)
	p.slipway(t, Slipway, "v1.4.0", "v1.4.1")
	other := required("v1.4.0")
	other.sum = "h1:other"
	interrupted, stop := context.WithCancel(t.Context())
	stop()
	for name, c := range map[string]struct {
		ctx    context.Context
		source fetched
		below  string
		want   string
	}{
		"no such version":           {t.Context(), required("v1.4.0"), "deploy/hello", "fetch " + Slipway + "/deploy/hello in the version of Slipway, v1.4.0: "},
		"another archive than ours": {t.Context(), other, ".", "this program was compiled from one with h1:other"},
		"interrupted":               {interrupted, required("v1.4.0"), ".", "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			cache := t.TempDir()
			_, err := c.source.folder(c.ctx, cache, c.below)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if left, err := filepath.Glob(filepath.Join(cache, "*", "*")); err != nil || len(left) > 0 {
				t.Errorf("it leaves %q, error %v", left, err)
			}
		})
	}
}
