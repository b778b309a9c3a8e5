package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// noTinyGo hides TinyGo from the test: PATH and the cache are empty.
func noTinyGo(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
}

func TestFindWithoutTinyGo(t *testing.T) {
	noTinyGo(t)
	for _, name := range []string{"", Go} {
		c, err := Find(name, "", "")
		if err != nil {
			t.Fatal(err)
		}
		if c != (goCompiler{toolchain: GoToolchain}) {
			t.Errorf("%q gives %+v", name, c)
		}
	}
	if _, err := Find(TinyGo, "", ""); !errors.Is(err, ErrNoTinyGo) || !strings.Contains(err.Error(), "https://tinygo.org/") {
		t.Errorf("error is %v", err)
	}
	if _, err := Find("", "", "0.40.1"); !errors.Is(err, ErrNoTinyGo) {
		t.Errorf("a TinyGo that is asked for by its version, and is not there: error is %v", err)
	}
	if _, err := Find("gcc", "", ""); !errors.Is(err, ErrUnknownCompiler) || !strings.Contains(err.Error(), `compiler "gcc" is not known`) {
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
		c, err := Find(name, "go1.23.12", "")
		if err != nil {
			t.Fatal(err)
		}
		if c != (tinyGoCompiler{path: path, toolchain: "go1.23.12"}) {
			t.Errorf("%q gives %+v", name, c)
		}
	}
	if c, err := Find(Go, "", ""); err != nil || c != (goCompiler{toolchain: GoToolchain}) {
		t.Errorf("go gives %+v, %v", c, err)
	}
}

// saysVersion writes a command that claims to be TinyGo of some version, with one build tag.
// It can do nothing else.
func saysVersion(t *testing.T, path, version string) {
	t.Helper()
	script := "#!/bin/sh\n[ \"$1\" = info ] && echo '{\"build_tags\": [\"tinygo\"]}' && exit\necho tinygo version " + version + " linux/amd64 '(using go version '\"$GOTOOLCHAIN\"' and LLVM version 19.1.2)'\n"
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(script), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestTinyGoVersion: the downloaded TinyGo, which is pinned, comes before the one on PATH,
// unless the other version is asked for. The output names the version, and an old one is
// refused.
func TestTinyGoVersion(t *testing.T) {
	const notPinned = `, which is not the pinned ` + tinygo.Version
	for name, test := range map[string]struct {
		onPath     string
		downloaded bool
		asked      string
		want       string // part of the line, or of the error
		fails      bool
	}{
		"pinned on PATH":             {tinygo.Version, false, "", "compiler: tinygo " + tinygo.Version + " with go1.26.8", false},
		"another on PATH":            {"0.40.1", false, "", "compiler: tinygo 0.40.1 with go1.22.12" + notPinned, false},
		"both":                       {"0.40.1", true, "", "compiler: tinygo " + tinygo.Version + " with go1.26.8", false},
		"both, the other asked for":  {"0.40.1", true, "0.40.1", "compiler: tinygo 0.40.1 with go1.22.12" + notPinned, false},
		"both, the pinned asked for": {"0.40.1", true, tinygo.Version, "compiler: tinygo " + tinygo.Version + " with go1.26.8", false},
		"downloaded, another asked":  {"", true, "0.40.1", ErrNoTinyGo.Error(), true},
		"another asked for":          {"0.40.1", false, "0.39.0", "is TinyGo 0.40.1, and 0.39.0 was asked for", true},
		"the oldest":                 {MinTinyGo, false, "", "compiler: tinygo 0.36.0 with go1.22.12" + notPinned, false},
		"too old":                    {"0.35.0", false, "", "is TinyGo 0.35.0, which makes no module that Envoy loads: it takes TinyGo 0.36.0 or later", true},
		"too old, and asked for":     {"0.33.0", false, "0.33.0", "it takes TinyGo 0.36.0 or later", true},
		"on the way to the oldest":   {"0.36.0-dev", false, "", "it takes TinyGo 0.36.0 or later", true},
		"on the way to the next":     {"0.42.0-dev-0123abc", false, "", "compiler: tinygo 0.42.0-dev-0123abc with go1.26.8" + notPinned, false},
		"no version":                 {"devel", false, "", "is TinyGo devel, which is not a version", true},
	} {
		t.Run(name, func(t *testing.T) {
			noTinyGo(t)
			bin := t.TempDir()
			t.Setenv("PATH", bin+":/bin:/usr/bin") // with a shell's commands
			if test.onPath != "" {
				saysVersion(t, filepath.Join(bin, "tinygo"), test.onPath)
			}
			if test.downloaded {
				saysVersion(t, filepath.Join(os.Getenv("XDG_CACHE_HOME"), "slipway", "tinygo", tinygo.Version, "tinygo", "bin", "tinygo"), tinygo.Version)
			}
			line := ""
			c, err := Find(TinyGo, "", test.asked)
			if err == nil {
				_, line, err = announce(t.Context(), c, TinyGo)
			}
			if (err != nil) != test.fails {
				t.Fatalf("line %q, error %v", line, err)
			}
			if test.fails {
				line = err.Error()
			}
			if !strings.Contains(line, test.want) || strings.Contains(line, notPinned) != strings.Contains(test.want, notPinned) {
				t.Errorf("it says %q, want %q", line, test.want)
			}
		})
	}
}

// TestTinyGoEnvironment: in any other environment, TinyGo takes the wrong Go or panics.
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

// leakyTinyGo is a TinyGo with its own malloc: it lacks the flag that leaves it out.
type leakyTinyGo struct{}

func (leakyTinyGo) Describe(context.Context) (Toolchain, error) { return Toolchain{Name: TinyGo}, nil }

func (leakyTinyGo) Compile(_ context.Context, _, out string) error {
	o := wasmtest.Filter()
	o.Exports = append(o.Exports, wasmtest.Func{Name: "malloc", Signature: "i:i"})
	return os.WriteFile(out, wasmtest.Encode(o), 0o644)
}

func TestLeakyModuleIsRefused(t *testing.T) {
	t.Parallel()
	dist := t.TempDir()
	dir := leastModule(t)
	j := job{leakyTinyGo{}, lister{toolchain: Toolchain{Name: TinyGo, Version: "0.41.1"}}, catalog.Filter{Name: "leaky", Dir: dir}, nil, dist}
	_, _, err := j.run(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "the module exports TinyGo's malloc") {
		t.Errorf("error is %v", err)
	}
	if entries, _ := os.ReadDir(dist); len(entries) != 0 {
		t.Errorf("dist holds %v", entries)
	}
}

// Both compilers keep everything in the given cache.
func TestCache(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	for name, env := range map[string][]string{
		"go":     goCompiler{toolchain: GoToolchain, cache: cache}.env(),
		"tinygo": tinyGoCompiler{path: "tinygo", toolchain: TinyGoToolchain, cache: cache}.env(),
	} {
		// If a variable is there twice, the last value counts.
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
