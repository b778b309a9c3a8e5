package inspect

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

func writeModule(t *testing.T, wasm []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "module.wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileSeesWhatCheckSees(t *testing.T) {
	t.Parallel()
	refused := wasmtest.Filter()
	refused.Imports = append(refused.Imports, wasmtest.Func{Module: "env", Name: "no_such_function", Signature: "i:i"})
	for name, options := range map[string]wasmtest.Options{"loads": wasmtest.Filter(), "refused": refused, "no filter": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options.Custom = strings.Repeat("x", 1<<16)
			wasm := wasmtest.Encode(options)
			want, wantErr := Check(t.Context(), wasm, StartOptions{})
			got, err := File(t.Context(), writeModule(t, wasm), StartOptions{})
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Report{})); diff != "" {
				t.Errorf("report differs from Check's (-want +got):\n%s", diff)
			}
			if (err == nil) != (wantErr == nil) || (err != nil && err.Error() != wantErr.Error()) {
				t.Errorf("error %v, Check's is %v", err, wantErr)
			}
		})
	}
}

func TestFileRefuses(t *testing.T) {
	t.Parallel()
	wasm := wasmtest.Encode(wasmtest.Filter())
	for n := range len(wasm) {
		if _, err := File(t.Context(), writeModule(t, wasm[:n]), StartOptions{}); err == nil {
			t.Errorf("a module cut off after %d of %d bytes passed", n, len(wasm))
		}
	}
	for name, tail := range map[string]string{
		"a section of 2^63 bytes":      "\x0b\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
		"a type section of a gigabyte": "\x01\x80\x80\x80\x80\x04",
		"more functions than bytes":    "\x03\x05\xff\xff\xff\xff\x0f",
	} {
		if _, err := File(t.Context(), writeModule(t, []byte("\x00asm\x01\x00\x00\x00"+tail)), StartOptions{}); err == nil {
			t.Errorf("a module with %s passed", name)
		}
	}
	if _, err := File(t.Context(), filepath.Join(t.TempDir(), "missing"), StartOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
