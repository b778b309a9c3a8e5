// Package gorun runs Slipway's programs by "go run". They are in modules of their own because
// they link so much.
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

// slipway is the module path that begins the paths of the programs' modules.
const slipway = "github.com/slipway-wasm/slipway"

// Root returns the folder of Slipway's source that this program was compiled from. The working
// directory may be another repository's. The folder may not exist any more.
func Root() string {
	_, self, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(self), "..", "..", "..")
}

// Run runs the program in a package of a module below Slipway's, such as "." in
// "deploy/manifest/render". It writes the request as JSON to the program's standard input, and
// reads the response as JSON from its standard output. When interrupted, the program gets a
// few seconds to stop.
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

// command returns the command that runs such a program. If Slipway's source is a module's
// archive, it lacks the modules below it. Then the program is the tool that the go.mod in the
// working directory names.
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
