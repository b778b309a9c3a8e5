package build

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// goCompiler is the ordinary Go compiler. Its modules reach the host through filter/gohost.
type goCompiler struct{ toolchain, cache string }

var _ Compiler = goCompiler{}

// goFlags make a WASI reactor whose bytes depend only on the sources and the compiler: it has
// no folder names, no symbol table and no build ID.
var goFlags = []string{"-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}

func (c goCompiler) env() []string {
	return append(environment(c.toolchain, c.cache), platform...)
}

func (c goCompiler) Describe(ctx context.Context) (Toolchain, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return Toolchain{}, fmt.Errorf("find the Go compiler: %w; install it from https://go.dev/dl", err)
	}
	version, err := output(ctx, "", c.env(), "go", "env", "GOVERSION")
	if err != nil {
		return Toolchain{}, fmt.Errorf("find the Go compiler %s: %w", c.toolchain, err)
	}
	goVersion := strings.TrimSpace(string(version))
	return Toolchain{Name: Go, Version: strings.TrimPrefix(goVersion, "go"), GoVersion: goVersion, Flags: goFlags}, nil
}

func (c goCompiler) Compile(ctx context.Context, dir, out string) error {
	args := append(append([]string{"build"}, goFlags...), "-o", out, ".")
	_, err := output(ctx, dir, c.env(), "go", args...)
	return err
}
