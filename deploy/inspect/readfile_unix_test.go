//go:build unix

package inspect_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// TestReadFile: neither a device without an end nor a FIFO that nobody writes to keeps a reader.
func TestReadFile(t *testing.T) {
	t.Parallel()
	module := wasmtest.Encode(wasmtest.Filter())
	path := filepath.Join(t.TempDir(), "a.wasm")
	if err := os.WriteFile(path, module, 0o600); err != nil {
		t.Fatal(err)
	}
	if wasm, err := inspect.ReadFile(t.Context(), path); err != nil || string(wasm) != string(module) {
		t.Errorf("%d bytes, %v", len(wasm), err)
	}
	if wasm, err := inspect.ReadFile(t.Context(), "/dev/zero"); err != nil || len(wasm) > 8 {
		t.Errorf("/dev/zero: %d bytes, %v", len(wasm), err)
	}
	if _, err := inspect.ReadFile(t.Context(), path+".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	late := errors.New("too late")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, late)
	defer cancel()
	if _, err := inspect.ReadFile(ctx, fifo); !errors.Is(err, late) || !strings.Contains(err.Error(), fifo) {
		t.Errorf("a FIFO without a writer: %v", err)
	}
}
