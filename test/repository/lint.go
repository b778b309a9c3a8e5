// Package repository holds what concerns this repository alone: its linters, and tests
// of its pages, its workflows and the directions of its imports.
package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/gotest"
)

// GolangciLint is the pinned linter: https://golangci-lint.run/docs/product/changelog
const GolangciLint = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0"

// Actionlint is the pinned linter of workflows:
// https://github.com/rhysd/actionlint/blob/main/CHANGELOG.md
const Actionlint = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

// zizmorVersion is the pinned auditor of workflows, and zizmorSums are the sha256 of
// its wheels by platform (as in runtime.GOOS and GOARCH):
// https://pypi.org/project/zizmor/1.32.0/#files
const zizmorVersion = "1.32.0"

var zizmorSums = map[string]string{
	"linux/amd64":  "84a6acb975accc13408786a2bd274b572537ca19c933ebbc13e78f3988562071",
	"linux/arm64":  "0cdd38fca6eb34ceb567548548d706332e3535ea66894b9168c048e03207b68c",
	"darwin/amd64": "aa4b4e216321dd5cf202cd79fc83296468f0eed79d850cd65ac8187a6bbc5496",
	"darwin/arm64": "0a999c98015becd9f69919ce01febadfb1c2be9b8ec2ce9ef7eb13ff23ba8eba",
}

// Lint runs golangci-lint over every module below root, and actionlint and zizmor over
// the workflows. What they print goes to out and errOut.
func Lint(ctx context.Context, root string, out, errOut io.Writer) error {
	failures := []error{lintWorkflows(ctx, root, out, errOut)}
	modules, err := gotest.Modules(root)
	if err != nil {
		return errors.Join(append(failures, err)...)
	}
	for _, module := range modules {
		fmt.Fprintf(out, "lint: module %s\n", module)
		if err := goCommand(ctx, filepath.Join(root, module), out, errOut, "run", GolangciLint, "run", "./...").Run(); err != nil {
			failures = append(failures, fmt.Errorf("lint module %s: %w", module, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failures...)
}

// lintWorkflows runs actionlint and zizmor over .github. They find what GitHub would
// not run, and what others could abuse. Neither uses the network for that.
func lintWorkflows(ctx context.Context, root string, out, errOut io.Writer) error {
	workflows, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(workflows) == 0 {
		return err
	}
	fmt.Fprintln(out, "lint: workflows")
	// Without the linters for scripts, which run only where they happen to be
	// installed.
	if err := goCommand(ctx, root, out, errOut, "run", Actionlint, "-shellcheck=", "-pyflakes=").Run(); err != nil {
		return fmt.Errorf("lint workflows with actionlint: %w", err)
	}
	zizmor, err := installZizmor(ctx)
	if err != nil {
		return fmt.Errorf("lint workflows with zizmor %s: %w", zizmorVersion, err)
	}
	cmd := exec.CommandContext(ctx, zizmor, "--offline", "--pedantic", "--no-progress", "--quiet", "--strict-collection", ".github")
	cmd.Dir = root
	cmd.Stdout, cmd.Stderr = out, errOut
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("lint workflows with zizmor: %w", err)
	}
	return nil
}

// installZizmor lets pip put zizmor into the user's cache folder, and returns zizmor's
// path. pip knows the user's index, proxy and certificates.
func installZizmor(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "slipway", "zizmor-"+zizmorVersion)
	binary := filepath.Join(dir, "bin", "zizmor")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	sum, ok := zizmorSums[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("there is no wheel of it for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", errors.New("python3 is not on PATH; install Python 3.10 or newer with pip")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	stage, err := os.MkdirTemp(filepath.Dir(dir), ".zizmor-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(stage) }()
	requirements := filepath.Join(stage, "requirements.txt")
	if err := os.WriteFile(requirements, fmt.Appendf(nil, "zizmor==%s --hash=sha256:%s\n", zizmorVersion, sum), 0o644); err != nil {
		return "", err
	}
	target := filepath.Join(stage, "target")
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
		"--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", requirements, "--target", target)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("pip install: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	// Another process may have been faster, with the same files.
	if err := os.Rename(target, dir); err != nil {
		if _, there := os.Stat(binary); there != nil {
			return "", err
		}
	}
	return binary, nil
}

// goCommand is the go command in a module's folder. It sees that module alone.
func goCommand(ctx context.Context, dir string, out, errOut io.Writer, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stdout, cmd.Stderr = out, errOut
	return cmd
}
