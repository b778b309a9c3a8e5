// Package vmtest runs one behaviour test twice: on a filter's Go code, and on the
// WebAssembly module that was built from it.
//
// It exists because the two differ where it hurts: the compiler, its garbage collector,
// 32-bit integers and the memory that host and module share. The module is what ships,
// so the module has to pass the test, not only its source.
//
// # What the compiled mode cannot do
//
// proxytest (SDK v0.24.0, proxytest/wasmwrapper.go) is not a whole proxy:
//
//   - Only HTTP filters. There are no TCP contexts.
//   - It offers the host functions that the SDK uses and no others. A module that
//     imports for instance proxy_get_log_level or proxy_get_status does not start.
//   - It never calls proxy_on_delete, so contexts pile up in the module.
//   - The answer to an HTTP call reaches the module only if a plugin context made
//     the call (OnPluginStart, OnTick). A test in which an HTTP context calls out
//     must be native.
//   - What it records (logs, header values, call-outs) points into the module's
//     memory and changes when the module reuses that memory. Look at it before the
//     next callback, or copy it.
//   - Its host is a process-wide variable behind a lock: such tests cannot be
//     parallel, and a test has to call the reset function before the next begins.
//
// In both modes proxytest, unlike Envoy, takes an empty header value, property or
// answer for "not found", or panics.
//
// # The race detector
//
// It watches Go code and cannot look into a module, but slows the compilation of
// a module down tenfold. With -race only the native half runs; "go tool mage test"
// runs the tests with it and without it.
package vmtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

// distVariable names the folder that holds the built modules, as an absolute
// path. It is unset in a plain "go test".
const distVariable = "SLIPWAY_DIST"

// Run runs test as two subtests. "native" uses the VM context that native returns.
// "wasm" uses the module $SLIPWAY_DIST/<filter>.wasm: it is skipped when SLIPWAY_DIST
// is unset, and left out under the race detector. test hands vm to
// [proxytest.EmulatorOption.WithVMContext].
func Run(t *testing.T, filter string, native func() types.VMContext, test func(t *testing.T, vm types.VMContext)) {
	t.Helper()
	t.Run("native", func(t *testing.T) { test(t, native()) })
	if raceEnabled {
		return
	}
	t.Run("wasm", func(t *testing.T) {
		dist := os.Getenv(distVariable)
		if dist == "" {
			t.Skip(`compiled mode needs the built modules: run "go tool mage build" and set ` + distVariable + ` to the absolute path of dist/; "go tool mage test" does both`)
		}
		module, err := os.ReadFile(filepath.Join(dist, filter+".wasm"))
		if err != nil {
			t.Fatalf(`read the built module: %v; run "go tool mage build"`, err)
		}
		vm, err := newVM(module)
		if err != nil {
			t.Fatalf("start %s.wasm: %v", filter, err)
		}
		t.Cleanup(func() {
			if err := vm.Close(); err != nil {
				t.Errorf("close %s.wasm: %v", filter, err)
			}
		})
		test(t, vm)
	})
}

func newVM(module []byte) (proxytest.WasmVMContext, error) {
	module, err := startable(module)
	if err != nil {
		return nil, err
	}
	return proxytest.NewWasmVMContext(module)
}
