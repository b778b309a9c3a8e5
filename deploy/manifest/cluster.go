package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
)

// kubectlDiff prints what kubectl would change in its current cluster. kubectl asks the API
// server, and so sees what defaults and webhooks make of an object.
func kubectlDiff(ctx context.Context, files []File, out io.Writer) error {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		return errors.New("compare with the cluster: kubectl is not installed; install it, or compare with a folder")
	}
	stage, remove, err := scratch.Dir("", "manifests-")
	if err != nil {
		return err
	}
	defer remove() //nolint:errcheck // a temporary folder
	dir := filepath.Join(stage, "manifests")
	if err := writeTree(dir, files); err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, kubectl, "diff", "-k", dir)
	cmd.Stdout, cmd.Stderr = out, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		fmt.Fprintln(out, "the cluster: no difference")
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		// The exit code for differences:
		// https://kubernetes.io/docs/reference/kubectl/generated/kubectl_diff/
		return nil
	}
	return fmt.Errorf("kubectl diff: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
}
