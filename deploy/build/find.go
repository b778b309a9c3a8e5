package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
)

// ErrNoTinyGo says that TinyGo was asked for and is not installed.
var ErrNoTinyGo = errors.New("TinyGo is not installed; see https://tinygo.org/getting-started/install")

// ErrUnknownCompiler says that neither Go nor TinyGo was asked for.
var ErrUnknownCompiler = errors.New("the compilers are go and tinygo")

// Find returns the compiler of that name. With an empty name it is TinyGo when
// that was downloaded (see package tinygo) or is on PATH, else Go. The downloaded one is
// the pinned release, and comes first: what else is installed does not decide the bytes
// of a filter.
//
// toolchain is the Go release to build with, as GOTOOLCHAIN takes it, without
// "+auto"; empty means GoToolchain or TinyGoToolchain. tinyGoVersion is the release of
// TinyGo that it has to be, such as "0.40.1"; empty means the pinned one or, where that
// was not downloaded, what is on PATH.
//
// A name that is neither empty, "go" nor "tinygo" is an ErrUnknownCompiler, and "tinygo",
// or a tinyGoVersion, where it is not installed an ErrNoTinyGo. Describe returns an error if
// TinyGo is of another version, or older than MinTinyGo.
func Find(name, toolchain, tinyGoVersion string) (Compiler, error) {
	return find(Options{Compiler: name, GoToolchain: toolchain, TinyGoVersion: tinyGoVersion})
}

// find is Find for a compiler that keeps its cache in a folder.
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
			return tinyGoCompiler{path, cmp.Or(opts.GoToolchain, TinyGoToolchain), opts.Cache, opts.TinyGoVersion}, nil
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

// announce says in one line which compiler is used, and why not the other.
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
