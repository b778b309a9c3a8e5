// Package kubectl is the real kubectl, linked in at a pinned version.
//
// It exists so that a machine needs no kubectl for the smoke test. The test also does
// what a user does: the same command with the same arguments.
package kubectl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

// Command is the first argument that makes this program behave as kubectl.
const Command = "kubectl"

// Main runs kubectl with the arguments after the first. It ends the process, because
// kubectl's own commands do.
func Main() {
	os.Args = os.Args[1:]
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	os.Exit(0)
}

// Kubectl runs kubectl in a process of its own.
type Kubectl struct {
	// Program is a program that calls Main when its first argument is Command.
	// Default: the running one.
	Program string
	// Kubeconfig and Context say which cluster. Default: kubectl's own.
	Kubeconfig, Context string
	// Namespace is that of every command. Default: the context's.
	Namespace string
}

// In returns k with another namespace.
func (k Kubectl) In(namespace string) Kubectl {
	k.Namespace = namespace
	return k
}

// Run runs "kubectl args…" with an optional standard input and returns its output. The
// error includes what kubectl said.
func (k Kubectl) Run(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	out, _, err := k.run(ctx, stdin, args)
	return out, err
}

// DryRun runs "kubectl apply --dry-run=server args…": the API server and its webhooks
// check the objects, and nothing is changed. It returns their warnings.
func (k Kubectl) DryRun(ctx context.Context, stdin io.Reader, args ...string) (warnings []string, err error) {
	_, said, err := k.run(ctx, stdin, append([]string{"apply", "--dry-run=server"}, args...))
	for line := range strings.Lines(said) {
		if warning, ok := strings.CutPrefix(strings.TrimSpace(line), "Warning: "); ok {
			warnings = append(warnings, warning)
		}
	}
	return warnings, err
}

func (k Kubectl) run(ctx context.Context, stdin io.Reader, args []string) (out, said string, err error) {
	program := k.Program
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return "", "", err
		}
	}
	all := []string{Command}
	for _, option := range [][2]string{{"--kubeconfig", k.Kubeconfig}, {"--context", k.Context}, {"--namespace", k.Namespace}} {
		if option[1] != "" {
			all = append(all, option[0]+"="+option[1])
		}
	}
	cmd := exec.CommandContext(ctx, program, append(all, args...)...)
	cmd.Stdin = stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", "", context.Cause(ctx)
		}
		return "", "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), stderr.String(), nil
}
