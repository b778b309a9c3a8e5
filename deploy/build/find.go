package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
)

// ErrNoTinyGo says that TinyGo was asked for and is not installed.
var ErrNoTinyGo = errors.New("TinyGo is not installed; see https://tinygo.org/getting-started/install")

// ErrUnknownCompiler says that the requested compiler is neither Go nor TinyGo.
var ErrUnknownCompiler = errors.New("the compilers are go and tinygo")

// Find returns the compiler with the given name. For an empty name it returns TinyGo, if that
// was downloaded (see package tinygo) or is on PATH, and Go otherwise. The downloaded TinyGo
// is the pinned release. It comes first, so that other installed versions do not decide the
// bytes of a filter.
//
// toolchain is the Go release to build with, as GOTOOLCHAIN takes it, without "+auto"; empty
// means GoToolchain or TinyGoToolchain, and an older Go for a TinyGo before 0.41. tinyGoVersion is the required release of TinyGo, such
// as "0.40.1"; empty means the pinned one or, if that was not downloaded, the one on PATH.
//
// For a name other than "", "go" and "tinygo" the error is ErrUnknownCompiler. If the name is
// "tinygo", or tinyGoVersion is given, and TinyGo is not installed, the error is ErrNoTinyGo.
// Describe fails if TinyGo has another version, or is older than MinTinyGo.
func Find(name, toolchain, tinyGoVersion string) (Compiler, error) {
	return find(Options{Compiler: name, GoToolchain: toolchain, TinyGoVersion: tinyGoVersion})
}

// find does what Find does, for a compiler with its cache in a folder.
func find(opts Options) (Compiler, error) {
	switch opts.Compiler {
	case Go:
		return goCompiler{cmp.Or(opts.GoToolchain, GoToolchain), opts.Cache}, nil
	case TinyGo, "":
		path, err := tinygo.Installed()
		if err != nil || opts.TinyGoVersion != "" && opts.TinyGoVersion != tinygo.Version {
			if onPath, pathErr := exec.LookPath(TinyGo); pathErr == nil {
				path, err = onPath, nil
			} else if err == nil {
				err = tinygo.ErrNotInstalled // this one
			}
		}
		switch {
		case err == nil:
			return tinyGoCompiler{path, cmp.Or(opts.GoToolchain, goFor(path)), opts.Cache, opts.TinyGoVersion}, nil
		case opts.Compiler == "" && opts.TinyGoVersion == "" && errors.Is(err, tinygo.ErrNotInstalled):
			opts.Compiler = Go
			return find(opts)
		case errors.Is(err, tinygo.ErrNotInstalled):
			return nil, ErrNoTinyGo
		default:
			return nil, fmt.Errorf("find TinyGo: %w", err)
		}
	}
	return nil, fmt.Errorf("compiler %q is not known; %w", opts.Compiler, ErrUnknownCompiler)
}

// goFor is the Go release that the TinyGo at path accepts. Where it does not say what it is,
// Describe says why.
func goFor(path string) string {
	cmd := exec.Command(path, "version")
	cmd.Env = environment("local", "")
	text, err := cmd.Output()
	fields := strings.Fields(string(text)) // tinygo version 0.41.1 linux/amd64 ...
	if err != nil || len(fields) < 3 {
		return TinyGoToolchain
	}
	if v, err := semver.NewVersion(fields[2]); err == nil && v.LessThan(semver.MustParse(newGo)) {
		return olderTinyGoToolchain
	}
	return TinyGoToolchain
}

// announce prints one line that says which compiler is used, and why not the other one.
func announce(ctx context.Context, c Compiler, asked string) (Toolchain, string, error) {
	toolchain, err := c.Describe(ctx)
	if err != nil {
		return Toolchain{}, "", err
	}
	line := fmt.Sprintf("compiler: %s %s", toolchain.Name, toolchain.Version)
	switch {
	case toolchain.Name == TinyGo:
		line += " with " + toolchain.GoVersion
		if !toolchain.Pinned() {
			line += ", which is not the pinned " + tinygo.Version
		}
	case asked == "":
		line += ` (TinyGo is not installed)`
	}
	return toolchain, line, nil
}
