package attest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// Only a failed comparison gives Wrong, and only a definite answer gives Missing.
func TestStateOf(t *testing.T) {
	t.Parallel()
	refused := func(status int) error { return &errcode.ErrorResponse{StatusCode: status} }
	for name, c := range map[string]struct {
		err  error
		want State
	}{
		"nothing":            {nil, OK},
		"a comparison":       {finding.Mismatch(errors.New("other bytes")), Wrong},
		"no such manifest":   {finding.Absence(errors.New("404")), Missing},
		"no such object":     {storage.ErrNotFound, Missing},
		"401":                {refused(http.StatusUnauthorized), Unknown},
		"403":                {refused(http.StatusForbidden), Unknown},
		"405":                {refused(http.StatusMethodNotAllowed), Unknown},
		"405 of a storage":   {&storage.Refusal{StatusCode: http.StatusMethodNotAllowed}, Unknown},
		"503":                {&retry.StatusError{StatusCode: http.StatusServiceUnavailable}, Unknown},
		"an unknown host":    {&retry.ConnectionError{Err: &net.DNSError{IsNotFound: true}}, Unknown},
		"a refused port":     {&retry.ConnectionError{Err: syscall.ECONNREFUSED}, Unknown},
		"no space":           {&fs.PathError{Op: "write", Path: "/tmp/x", Err: syscall.ENOSPC}, Unknown},
		"no TMPDIR":          {&fs.PathError{Op: "open", Path: "/tmp/x", Err: syscall.ENOENT}, Unknown},
		"a deadline":         {context.DeadlineExceeded, Unknown},
		"what nobody marked": {errors.New("surprise"), Unknown},
	} {
		if got := StateOf(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if c.err == nil {
			continue
		}
		if got := StateOf(fmt.Errorf("read it: %w", c.err)); got != c.want {
			t.Errorf("%s, wrapped: %s, want %s", name, got, c.want)
		}
	}
	checks := []Check{{Subject: "a", What: "manifest", State: Unknown, Detail: "405", Optional: true}, {Subject: "b", State: Wrong}, {Subject: "c", State: OK}}
	if err := Failed(checks); err == nil || !strings.Contains(err.Error(), "a: verification failed: the manifest is unknown: 405") {
		t.Errorf("failed: %v", err)
	}
	if err := Undecided(checks); err == nil || strings.Contains(err.Error(), "b: ") || Undecided(checks[1:]) != nil {
		t.Errorf("undecided: %v", err)
	}
}
