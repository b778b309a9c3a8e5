package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// noTinyGo makes a machine without TinyGo: with an empty PATH and cache.
func noTinyGo(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
}

func TestFindWithoutTinyGo(t *testing.T) {
	noTinyGo(t)
	for _, name := range []string{"", Go} {
		c, err := Find(name, "")
		if err != nil {
			t.Fatal(err)
		}
		if c != (goCompiler{toolchain: GoToolchain}) {
			t.Errorf("%q gives %+v", name, c)
		}
	}
	if _, err := Find(TinyGo, ""); !errors.Is(err, ErrNoTinyGo) || !strings.Contains(err.Error(), "go tool mage tinygo") {
		t.Errorf("error is %v", err)
	}
	if _, err := Find("gcc", ""); err == nil || !strings.Contains(err.Error(), `compiler "gcc" is not known`) {
		t.Errorf("error is %v", err)
	}
}

func TestFindTinyGo(t *testing.T) {
	noTinyGo(t)
	path := filepath.Join(os.Getenv("PATH"), "tinygo")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", TinyGo} {
		c, err := Find(name, "go1.23.12")
		if err != nil {
			t.Fatal(err)
		}
		if c != (tinyGoCompiler{path: path, toolchain: "go1.23.12"}) {
			t.Errorf("%q gives %+v", name, c)
		}
	}
	if c, err := Find(Go, ""); err != nil || c != (goCompiler{toolchain: GoToolchain}) {
		t.Errorf("go gives %+v, %v", c, err)
	}
}

// TestTinyGoEnvironment: TinyGo takes the wrong Go, or panics, in any other.
func TestTinyGoEnvironment(t *testing.T) {
	t.Setenv("GOROOT", "/elsewhere")
	t.Setenv("GOFLAGS", "-tags=surprise")
	t.Setenv("GOWORK", "/a/go.work")
	t.Setenv("GOTOOLCHAIN", "go1.26.0+auto")
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	env := map[string]string{}
	for _, entry := range (tinyGoCompiler{path: "tinygo", toolchain: TinyGoToolchain}).env() {
		name, value, _ := strings.Cut(entry, "=")
		if _, twice := env[name]; twice && name != "XDG_CACHE_HOME" {
			t.Errorf("%s is set twice", name)
		}
		env[name] = value
	}
	for name, want := range map[string]string{"GOTOOLCHAIN": TinyGoToolchain, "GOWORK": "off", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	if _, ok := env["GOROOT"]; ok || env["XDG_CACHE_HOME"] == "" {
		t.Errorf("GOROOT is %q, XDG_CACHE_HOME %q", env["GOROOT"], env["XDG_CACHE_HOME"])
	}
}

// leakyTinyGo is a TinyGo that keeps its malloc, as it does without the flag.
type leakyTinyGo struct{}

func (leakyTinyGo) Describe(context.Context) (Toolchain, error) { return Toolchain{Name: TinyGo}, nil }
func (leakyTinyGo) Sources(context.Context, ...string) ([][]Package, error) {
	return [][]Package{nil}, nil
}

func (leakyTinyGo) Compile(_ context.Context, _, out string) error {
	o := wasmtest.Filter()
	o.Exports = append(o.Exports, wasmtest.Func{Name: "malloc", Signature: "i:i"})
	return os.WriteFile(out, wasmtest.Encode(o), 0o644)
}

func TestLeakyModuleIsRefused(t *testing.T) {
	t.Parallel()
	dist := t.TempDir()
	j := job{leakyTinyGo{}, Toolchain{Name: TinyGo, Version: "0.41.1"}, catalog.Filter{Name: "leaky"}, nil, dist}
	_, _, err := j.run(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "the module exports TinyGo's malloc") {
		t.Errorf("error is %v", err)
	}
	if entries, _ := os.ReadDir(dist); len(entries) != 0 {
		t.Errorf("dist holds %v", entries)
	}
}

// Both compilers keep everything in the cache that they are given.
func TestCache(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	for name, env := range map[string][]string{
		"go":     goCompiler{toolchain: GoToolchain, cache: cache}.env(),
		"tinygo": tinyGoCompiler{path: "tinygo", toolchain: TinyGoToolchain, cache: cache}.env(),
	} {
		// The last one counts.
		values := map[string]string{}
		for _, entry := range env {
			variable, value, _ := strings.Cut(entry, "=")
			values[variable] = value
		}
		for _, variable := range []string{"GOCACHE", "XDG_CACHE_HOME"} {
			if !strings.HasPrefix(values[variable], cache) {
				t.Errorf("%s: %s is %q", name, variable, values[variable])
			}
		}
	}
}
