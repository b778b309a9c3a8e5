package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// kindModule is the folder of the module with the command that links kind, Helm and
// Kubernetes' client.
var kindModule = filepath.Join("test", "kind")

// KindUp brings up a kind cluster with Istio and a registry.
func KindUp(ctx context.Context, out, errOut io.Writer) error {
	if err := findDocker(ctx); err != nil {
		return fmt.Errorf("kind:up: %w", err)
	}
	return kind(ctx, out, errOut, "up")
}

// KindSmoke plays the roll-out in the cluster of kubectl's context kubeContext. If that
// is empty, it uses KindUp's cluster, or kubectl's current one if KindUp's is not up.
// If published is a version or a git tag, it rolls that out as well, as it is
// published.
func KindSmoke(ctx context.Context, kubeContext, published string, out, errOut io.Writer) error {
	return kind(ctx, out, errOut, "smoke", "-context="+kubeContext, "-published="+published)
}

// KindDown removes what KindUp started, whatever its state.
func KindDown(ctx context.Context, out, errOut io.Writer) error {
	if err := findDocker(ctx); err != nil {
		return fmt.Errorf("kind:down: %w", err)
	}
	return kind(ctx, out, errOut, "down")
}

// findDocker looks for a docker daemon, before minutes go into building a command that
// would not find one.
func findDocker(ctx context.Context) error {
	const instead = `start docker or set DOCKER_HOST, or run "go tool mage mesh", which needs no docker`
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("there is no docker on PATH; " + instead)
	}
	var said strings.Builder
	cmd := exec.CommandContext(ctx, "docker", "version", "--format={{.Server.Version}}")
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		return fmt.Errorf("no docker daemon answers (%s); %s", line, instead)
	}
	return nil
}

// kind builds the command and runs it here. When it is interrupted, it gets time to
// clean up.
func kind(ctx context.Context, out, errOut io.Writer, args ...string) error {
	program, err := filepath.Abs(filepath.Join("dist", "kind", "kind"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); err != nil {
		fmt.Fprintln(errOut, "Building the command with kind, Helm and kubectl, which takes minutes the first time…")
	}
	// Not "go run", which does not forward signals.
	build := goCommand(ctx, kindModule, errOut, errOut, "build", "-o", program, ".")
	if err := build.Run(); err != nil {
		return fmt.Errorf("build %s: %w", kindModule, err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = out, errOut
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Minute
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("kind %s: %w", strings.Join(args, " "), err)
	}
	return nil
}
