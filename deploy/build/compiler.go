package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	goversion "go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
	"github.com/slipway-wasm/slipway/deploy/internal/children"
)

// Compiler turns a filter's folder into a wasm module.
type Compiler interface {
	// Describe says which compiler this is and with which flags it is called. It runs the
	// compiler, and fails if that fails.
	Describe(ctx context.Context) (Toolchain, error)
	// Compile builds the filter in dir, an absolute path, and writes the module to the file
	// out.
	Compile(ctx context.Context, dir, out string) error
}

// Toolchain describes the compiler in a record.
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
	// BuildTags are the build tags that the compiler sets in addition to those of the platform
	// and of Go's releases. They decide which files it compiles. Go sets none.
	BuildTags []string `json:"buildTags,omitempty"`
}

// Pinned reports whether a release is built with this compiler, unless another version is
// asked for. For Go it is always true: another Go is used only if it is asked for.
func (t Toolchain) Pinned() bool { return t.Name != TinyGo || t.Version == tinygo.Version }

// The names of the compilers, as the variable COMPILER accepts them.
const (
	Go     = "go"
	TinyGo = "tinygo"
)

// GoToolchain is the Go release that builds filters with the ordinary compiler. It is pinned
// because a release must have the same bytes from every machine. If another release is
// installed, the go command fetches this one.
const GoToolchain = "go1.26.8"

// TinyGoToolchain is the Go release whose standard library the pinned TinyGo compiles. No
// TinyGo accepts a Go that is newer than itself, and 0.41 is the first that accepts this one:
// https://github.com/tinygo-org/tinygo/blob/v0.41.1/builder/config.go
const TinyGoToolchain = "go1.26.8"

// olderTinyGoToolchain is the same for TinyGo before newGo. Every TinyGo from 0.36 on accepts it.
const (
	olderTinyGoToolchain = "go1.22.12"
	newGo                = "0.41.0"
)

// platform is the target of filters. The ordinary compiler reads it from these variables;
// TinyGo has its own target wasip1.
var platform = []string{"GOOS=wasip1", "GOARCH=wasm"}

// ErrNewerGo says that a go.mod asks for a newer Go than the one that builds filters.
var ErrNewerGo = errors.New("the filter's go.mod, or that of a module it requires, asks for a newer Go than builds it")

// environment is the environment of every compiler: the caller's, without the variables that
// would change the module's bytes. cache is the folder of the compilers' caches; empty means
// their usual place.
func environment(goToolchain, cache string) []string {
	var env []string
	for _, entry := range children.Environment(os.Environ(), children.Repositories...) {
		switch name, _, _ := strings.Cut(entry, "="); name {
		case "GOROOT", // "go test" and "go run" set it to the Go that runs Slipway
			"GOOS", "GOARCH", "GOWASM", "GOFLAGS", "GOWORK", "GOTOOLCHAIN", "GOEXPERIMENT", "CGO_ENABLED":
		default:
			env = append(env, entry)
		}
	}
	if cache != "" {
		// TinyGo keeps its cache in os.UserCacheDir; only this variable moves it.
		env = append(env, "GOCACHE="+filepath.Join(cache, "go-build"), "XDG_CACHE_HOME="+cache)
	}
	return append(env,
		"GOTOOLCHAIN="+goToolchain, // never with +auto: TinyGo refuses a Go newer than it knows
		"GOWORK=off",               // a go.work above may ask for a Go newer than TinyGo knows
		"GOFLAGS=-mod=readonly",    // not empty: an empty one falls back to the user's go env file
		"CGO_ENABLED=0",
	)
}

// lowered is the go line that a go.mod can have at most, for the Go release in an environment.
func lowered(env []string) string {
	toolchain := TinyGoToolchain
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "GOTOOLCHAIN="); ok {
			toolchain = value
		}
	}
	return strings.TrimPrefix(goversion.Lang(toolchain), "go") + ".0"
}

// output runs a command and returns its standard output. The error holds its standard error.
func output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := children.Run(cmd); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		text := strings.TrimSpace(stderr.String())
		if text == "" {
			text = strings.TrimSpace(stdout.String())
		}
		text = fromHere(dir, text)
		if text == "" {
			return nil, fmt.Errorf("%s %s: %w", name, args[0], err)
		}
		if strings.Contains(text, "requires go >= ") {
			return nil, fmt.Errorf("%s %s: %w:\n%s\n%w; lower its go line: run \"go mod edit -go=%s\" in its folder", name, args[0], err, text, ErrNewerGo, lowered(env))
		}
		return nil, fmt.Errorf("%s %s: %w:\n%s", name, args[0], err, text)
	}
	return stdout.Bytes(), nil
}

// position matches the file's name where a compiler's line begins with a place.
var position = regexp.MustCompile(`(?m)^(\.{0,2}[^\s:"]*\.go):[0-9]+:`)

// fromHere names the files in a compiler's text as they are seen from the working directory: it
// names them as seen from the folder that it ran in.
func fromHere(dir, text string) string {
	here, err := os.Getwd()
	if err != nil || dir == "" {
		return text
	}
	return position.ReplaceAllStringFunc(text, func(match string) string {
		name, rest, _ := strings.Cut(match, ":")
		relative, err := filepath.Rel(here, filepath.Join(dir, name))
		if filepath.IsAbs(name) || err != nil {
			return match
		}
		return relative + ":" + rest
	})
}
