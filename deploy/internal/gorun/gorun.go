// Package gorun builds and runs Slipway's programs with the go command, when they are first
// used. They are programs of their own because they link so much.
//
// It works in Slipway's own repository, and in any other that requires Slipway as a module:
// see [Folder].
package gorun

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/children"
)

// Slipway is the module path of Slipway. The paths of its other modules begin with it.
const Slipway = "github.com/slipway-wasm/slipway"

// Run runs the program in a package of one of Slipway's modules, such as "." in
// "deploy/manifest/render". It writes the request as JSON to the program's standard input, and
// reads the response as JSON from its standard output. When interrupted, the program gets a
// few seconds to stop. Of the environment, it gets what children.Environment keeps, and more.
func Run(ctx context.Context, module, pkg string, request, response any, more ...string) error {
	input, err := json.Marshal(request)
	if err != nil {
		return err
	}
	folder, err := Folder(ctx, module)
	if err != nil {
		return err
	}
	cmd := goCommand(ctx, folder, "run", path.Join(Slipway, module, pkg))
	cmd.Env = Environment(children.Environment(os.Environ(), slices.Concat(children.Repositories, more)...))
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	output, err := children.Output(cmd)
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

// Tool returns the path of a tool that the go.mod of one of Slipway's modules names, such as
// "cloud" in "deploy/storage/cloud". The go command builds it, unless the build cache has it.
func Tool(ctx context.Context, module, tool string) (string, error) {
	folder, err := Folder(ctx, module)
	if err != nil {
		return "", err
	}
	return Output(ctx, folder, "tool", "-n", tool)
}

// Source returns the folder with the source of one of Slipway's modules. It may be read-only.
func Source(ctx context.Context, module string) (string, error) {
	folder, err := Folder(ctx, module)
	if err != nil {
		return "", err
	}
	return Output(ctx, folder, "list", "-m", "-f", "{{.Dir}}", path.Join(Slipway, module))
}

// cleanUp is how long an interrupted tool may take to remove what it started.
const cleanUp = 5 * time.Minute

// RunTool builds a tool as [Tool] does, and runs it in the working directory. When the context
// ends, the tool is interrupted, and gets minutes to clean up. (The go command would not hand
// the interrupt on, so "go run" is not for this.)
func RunTool(ctx context.Context, module, tool string, out, errOut io.Writer, args ...string) error {
	program, err := Tool(ctx, module, tool)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = out, errOut
	children.Follow(cmd)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = cleanUp
	return cmd.Run()
}

// Output runs the go command in the folder of a module, and returns what it prints to standard
// output, trimmed. The error has what it prints to standard error.
func Output(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := goCommand(ctx, folder, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := children.Output(cmd)
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("go %s in %s: %w: %s", strings.Join(args, " "), folder, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(output)), nil
}

// goCommand returns the go command in the folder of a module. It sees only that module.
func goCommand(ctx context.Context, folder string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = folder
	cmd.Env = Environment(children.Environment(os.Environ(), children.Repositories...))
	return cmd
}

// Environment returns an environment for the go command that builds Slipway's programs for this
// machine from their own modules, whatever the caller's builds are like: another platform, a
// vendor folder, a workspace.
func Environment(environment []string) []string {
	kept := slices.DeleteFunc(slices.Clone(environment), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains([]string{"GOOS", "GOARCH", "GOFLAGS", "GOWORK", "GO111MODULE", "GOEXPERIMENT"}, name)
	})
	// Not empty: an empty one falls back to the user's go env file.
	return append(kept, "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "GOFLAGS=-mod=readonly", "GOWORK=off")
}
