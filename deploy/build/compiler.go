package build

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
)

// Compiler turns a filter's folder into a wasm module.
type Compiler interface {
	// Describe says which compiler this is and how it is called. It runs the
	// compiler, and fails if that does not run.
	Describe(ctx context.Context) (Toolchain, error)
	// Compile builds the filter in dir, an absolute path, to the file out.
	Compile(ctx context.Context, dir, out string) error
}

// Toolchain is what a record says of the compiler.
type Toolchain struct {
	// Name is "go" or "tinygo".
	Name string `json:"name"`
	// Version is the compiler's version, without a prefix: "1.26.8", "0.41.1".
	Version string `json:"version"`
	// GoVersion is the version of Go whose standard library was compiled in, as
	// Go writes it: "go1.26.8".
	GoVersion string `json:"goVersion"`
	// Flags are the arguments between "build" and the package, without the output.
	Flags []string `json:"flags"`
	// BuildTags are the build tags that the compiler sets besides those of the
	// platform and of Go's releases: they decide which files it compiles. Go sets none.
	BuildTags []string `json:"buildTags,omitempty"`
}

// Pinned reports whether it is the compiler that a release is built with unless somebody
// asks for another by its version. Another Go is always asked for.
func (t Toolchain) Pinned() bool { return t.Name != TinyGo || t.Version == tinygo.Version }

// The names of the compilers, as COMPILER takes them.
const (
	Go     = "go"
	TinyGo = "tinygo"
)

// GoToolchain is the Go release that builds filters with the ordinary compiler.
// It is pinned, and not whatever happens to be installed, because a release must
// have the same bytes from every machine; the go command fetches it when the
// installed one is another.
const GoToolchain = "go1.26.8"

// TinyGoToolchain is the Go release whose standard library TinyGo compiles.
// Every TinyGo from 0.36 to 0.41 accepts it (builder/config.go in each), and none
// accepts a Go newer than itself.
const TinyGoToolchain = "go1.22.12"

// platform is what filters are compiled for: the ordinary compiler is told so, and
// TinyGo's target wasip1 says so.
var platform = []string{"GOOS=wasip1", "GOARCH=wasm"}

// environment is what every compiler runs in: the caller's, less what would change
// the bytes of the module, with their caches in a folder; empty means where they
// always are.
func environment(goToolchain, cache string) []string {
	var env []string
	for _, entry := range os.Environ() {
		switch name, _, _ := strings.Cut(entry, "="); name {
		case "GOROOT", // "go test" and "go run" set it to the Go that runs Slipway
			"GOOS", "GOARCH", "GOWASM", "GOFLAGS", "GOWORK", "GOTOOLCHAIN", "GOEXPERIMENT", "CGO_ENABLED":
		default:
			env = append(env, entry)
		}
	}
	if cache != "" {
		// TinyGo's own cache is in os.UserCacheDir, which knows no other way.
		env = append(env, "GOCACHE="+filepath.Join(cache, "go-build"), "XDG_CACHE_HOME="+cache)
	}
	return append(env,
		"GOTOOLCHAIN="+goToolchain, // never with +auto: TinyGo refuses a Go newer than it knows
		"GOWORK=off",               // a go.work above may ask for a Go newer than TinyGo knows
		"GOFLAGS=-mod=readonly",    // not empty: an empty one falls back to the user's go env file
		"CGO_ENABLED=0",
	)
}

// output runs a command and returns its standard output. The error holds what it
// wrote to standard error.
func output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		text := strings.TrimSpace(stderr.String())
		if text == "" {
			text = strings.TrimSpace(stdout.String())
		}
		if text == "" {
			return nil, fmt.Errorf("%s %s: %w", name, args[0], err)
		}
		return nil, fmt.Errorf("%s %s: %w:\n%s", name, args[0], err, text)
	}
	return stdout.Bytes(), nil
}
