package repository

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// Mesh rolls two releases of the filters out in a mesh of plain processes: package
// test/consumers/mesh. That builds what is missing and ends with a table of what was
// seen.
func Mesh(ctx context.Context, out, errOut io.Writer) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("mesh: Istio's agent is made for Linux, and this is %s; run it in a Linux container or virtual machine", runtime.GOOS)
	}
	// The binary is kept: linking Istio takes longer than playing, and "go test" would
	// link it each time.
	binary, err := filepath.Abs(filepath.Join("dist", "mesh.test"))
	if err != nil {
		return fmt.Errorf("mesh: %w", err)
	}
	dir := filepath.Join("test", "consumers", "mesh")
	if err := run(goCommand(ctx, dir, out, errOut, "test", "-c", "-tags=mesh", "-ldflags=-s -w", "-o", binary)); err != nil {
		return fmt.Errorf("build the mesh: %w", err)
	}
	cmd := goCommand(ctx, dir, out, errOut)
	cmd.Path, cmd.Args = binary, []string{binary, "-test.timeout=30m"}
	if err := run(cmd); err != nil {
		return fmt.Errorf("mesh: %w", err)
	}
	return nil
}

// Bench measures what the filters cost in real Envoy, and writes bench.json and
// bench.md into dist/: module test/bench.
func Bench(ctx context.Context, out, errOut io.Writer) error {
	if err := run(goCommand(ctx, filepath.Join("test", "bench"), out, errOut, "run", ".")); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// Soak runs all filters in one real Envoy for a time, under everything that wears them
// out, and fails when a VM does or memory grows: module test/bench.
func Soak(ctx context.Context, duration time.Duration, out, errOut io.Writer) error {
	if err := run(goCommand(ctx, filepath.Join("test", "bench"), out, errOut, "run", ".", "-soak="+duration.String())); err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	return nil
}

// goCommand is the go command in a module's folder. It sees that module alone.
func goCommand(ctx context.Context, dir string, out, errOut io.Writer, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stdout, cmd.Stderr = out, errOut
	return cmd
}

// run runs a command. When the command's context ends, run interrupts it, so that it
// can stop its proxies. If it were killed, it could not.
func run(cmd *exec.Cmd) error {
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd.Run()
}
