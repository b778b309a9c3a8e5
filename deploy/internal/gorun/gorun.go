// Package gorun has "go run" run Slipway's programs that are in modules of their own,
// because of what they link.
package gorun

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// slipway is the path that the programs' modules are below.
const slipway = "github.com/slipway-wasm/slipway"

// Root is the folder of Slipway's source, which this was compiled from; the working
// directory may be another repository's. It need not exist any more.
func Root() string {
	_, self, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(self), "..", "..", "..")
}

// Run runs the program in a package of a module below Slipway's, such as "." in
// "deploy/manifest/render", hands it a request as JSON on standard input, and reads
// its response, as JSON, from standard output. Interrupted, the program is given some
// seconds to end by itself.
func Run(ctx context.Context, module, pkg string, request, response any) error {
	input, err := json.Marshal(request)
	if err != nil {
		return err
	}
	cmd := command(ctx, module, pkg)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	output, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("run %s: %w\n%s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	if err := json.Unmarshal(output, response); err != nil {
		return fmt.Errorf("read what %s printed: %w", strings.Join(cmd.Args, " "), err)
	}
	return nil
}

// command is how to run such a program. Where the source is a module's archive, which
// does not carry the modules below it, the program is the tool that the go.mod in
// the working directory names.
func command(ctx context.Context, module, pkg string) *exec.Cmd {
	dir := filepath.Join(Root(), filepath.FromSlash(module))
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return exec.CommandContext(ctx, "go", "run", path.Join(slipway, module, pkg))
	}
	cmd := exec.CommandContext(ctx, "go", "run", pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return cmd
}
