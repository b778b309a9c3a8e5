package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/nested"
)

// module holds the programs that sign and verify.
const module = "deploy/attest/sigstore"

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
	cmd := nested.Command(ctx, module, pkg)
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
