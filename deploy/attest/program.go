package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// module holds the programs that sign and verify.
const module = "github.com/slipway-wasm/slipway/deploy/attest/sigstore"

// run asks a program below sigstore: the one that links the KMS' SDKs if a key is
// in a KMS, which takes minutes to compile, and the other one otherwise.
func run(ctx context.Context, request Request) (Response, error) {
	var keys []string
	if request.Sign != nil {
		keys = append(keys, request.Sign.Signer.Key, request.Sign.Policy.Key)
	}
	if request.Verify != nil {
		keys = append(keys, request.Verify.Policy.Key)
	}
	pkg := "."
	for _, key := range keys {
		if strings.Contains(key, "://") {
			pkg = "./kms"
		}
	}
	input, err := json.Marshal(request)
	if err != nil {
		return Response{}, err
	}
	cmd, err := program(ctx, pkg)
	if err != nil {
		return Response{}, err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	output, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return Response{}, context.Cause(ctx)
		}
		return Response{}, fmt.Errorf("run %s: %w\n%s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	var response Response
	if err := json.Unmarshal(output, &response); err != nil {
		return Response{}, fmt.Errorf("read what %s printed: %w", strings.Join(cmd.Args, " "), err)
	}
	if response.Error != "" {
		return Response{}, errors.New(response.Error)
	}
	return response, nil
}

// program is how to run it: in Slipway's own repository from its folder, elsewhere
// as the tool that the repository's go.mod names.
func program(ctx context.Context, pkg string) (*exec.Cmd, error) {
	output, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/slipway-wasm/slipway").Output()
	if err != nil {
		return nil, errors.New("find Slipway's module: run this in its repository, or in one that requires it")
	}
	dir := filepath.Join(strings.TrimSpace(string(output)), "deploy", "attest", "sigstore")
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		cmd := exec.CommandContext(ctx, "go", "run", pkg)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off")
		return cmd, nil
	}
	// A module's archive does not carry the modules below it.
	return exec.CommandContext(ctx, "go", "run", filepath.ToSlash(filepath.Join(module, pkg))), nil
}
