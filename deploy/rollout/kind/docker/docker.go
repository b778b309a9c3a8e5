// Package docker runs the docker command line, which honours DOCKER_HOST, docker's
// contexts and its credentials.
//
// It exists because kind needs that command anyway, and a client library would be a
// second way to find the daemon.
package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Run runs "docker args…" and returns its output, without white space around it. The
// error includes what docker said.
func Run(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	err := run(ctx, &out, args)
	return strings.TrimSpace(out.String()), err
}

// Present returns which of the images the daemon has. It pulls none of them.
func Present(ctx context.Context, images []string) ([]string, error) {
	var present []string
	for _, image := range images {
		_, err := Run(ctx, "image", "inspect", "--format={{.Id}}", image)
		switch {
		case err == nil:
			present = append(present, image)
		case !strings.Contains(strings.ToLower(err.Error()), "no such image"):
			return nil, err
		}
	}
	return present, nil
}

// Save writes the images to w as one archive.
func Save(ctx context.Context, w io.Writer, images []string) error {
	return run(ctx, w, append([]string{"image", "save"}, images...))
}

func run(ctx context.Context, out io.Writer, args []string) error {
	cmd := exec.CommandContext(ctx, "docker", args...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}
