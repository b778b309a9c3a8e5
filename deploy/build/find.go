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
var ErrNoTinyGo = errors.New(`TinyGo is not installed; "go tool mage tinygo" downloads it into your cache folder, or see https://tinygo.org/getting-started/install, or set COMPILER=go`)

// Find returns the compiler of that name. With an empty name it is TinyGo when
// that is on PATH or was downloaded (see package tinygo), else Go.
//
// toolchain is the Go release to build with, as GOTOOLCHAIN takes it, without
// "+auto"; empty means GoToolchain or TinyGoToolchain.
//
// A name that is neither empty, "go" nor "tinygo" is an error, and so is "tinygo"
// where it is not installed: ErrNoTinyGo.
func Find(name, toolchain string) (Compiler, error) {
	return find(name, toolchain, "")
}

// find is Find for a compiler that keeps its cache in a folder; empty means the
// user's.
func find(name, toolchain, cache string) (Compiler, error) {
	switch name {
	case Go:
		return goCompiler{cmp.Or(toolchain, GoToolchain), cache}, nil
	case TinyGo, "":
		path, err := exec.LookPath(TinyGo)
		if err != nil {
			path, err = tinygo.Installed()
		}
		switch {
		case err == nil:
			return tinyGoCompiler{path, cmp.Or(toolchain, TinyGoToolchain), cache}, nil
		case name == "" && errors.Is(err, tinygo.ErrNotInstalled):
			return find(Go, toolchain, cache)
		case errors.Is(err, tinygo.ErrNotInstalled):
			return nil, ErrNoTinyGo
		default:
			return nil, fmt.Errorf("find TinyGo: %w", err)
		}
	}
	return nil, fmt.Errorf("compiler %q is not known; COMPILER is go, tinygo or not set", name)
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
	case asked == "":
		line += ` (TinyGo is not installed; "go tool mage tinygo" gets it)`
	}
	return toolchain, line, nil
}
