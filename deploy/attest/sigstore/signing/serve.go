// Package signing is the work of the programs sigstore and kms: it makes and checks
// sigstore bundles with sigstore-go.
package signing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// Main answers the request on standard input and returns the exit code.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := Serve(ctx, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Serve reads an attest.Request from in and writes an attest.Response to out. If the
// requested work fails, the response has the error.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var request attest.Request
	if err := json.NewDecoder(in).Decode(&request); err != nil {
		return fmt.Errorf("read the request: %w; package attest starts this program", err)
	}
	response, err := answer(ctx, request)
	if err != nil {
		response = attest.FailedResponse(err, redact.Text(err.Error()))
	}
	return json.NewEncoder(out).Encode(response)
}

func answer(ctx context.Context, request attest.Request) (response attest.Response, err error) {
	switch {
	case request.Sign != nil:
		return Sign(ctx, *request.Sign)
	case request.Verify != nil:
		response.Results, err = Verify(ctx, *request.Verify)
		return response, err
	}
	return response, errors.New("the request asks for nothing")
}
