package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
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
	cmd := program(ctx, pkg)
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

// program is how to run it: from its folder beside this file, if the source that
// this was compiled from is still there, and else as the tool that the repository's
// go.mod names, because a module's archive does not carry the modules below it.
func program(ctx context.Context, pkg string) *exec.Cmd {
	_, self, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(self), "sigstore")
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return exec.CommandContext(ctx, "go", "run", path.Join(module, pkg))
	}
	cmd := exec.CommandContext(ctx, "go", "run", pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return cmd
}
