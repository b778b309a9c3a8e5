package inspect_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// example is a configuration of the length that wasmtest.Starts expects.
const example = "0123456789"

// TestStart of test/e2e starts the same modules in Envoy.
func TestStart(t *testing.T) {
	t.Parallel()
	for name, module := range wasmtest.Starts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wasm := wasmtest.Encode(module.Options)
			configuration := example
			report, err := inspect.Check(t.Context(), wasm, inspect.StartOptions{Configuration: &configuration})
			if module.Reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				if module.From != "" && report.EnvoyMin != module.From {
					t.Errorf("the lowest Envoy is %s, want %s", report.EnvoyMin, module.From)
				}
				return
			}
			if !errors.Is(err, inspect.ErrWouldNotLoad) || !strings.HasPrefix(report.Problems()[0], module.Reason) {
				t.Fatalf("error is %v, want ErrWouldNotLoad: %s", err, module.Reason)
			}
			if fails := strings.Contains(err.Error(), "fails every request"); fails != module.Fails {
				t.Errorf("it loads and fails every request: %v, want %v: %v", fails, module.Fails, err)
			}
		})
	}
}

func with(name, signature string, code []byte) []byte {
	o := wasmtest.Filter()
	for i, f := range o.Exports {
		if f.Name == name {
			o.Exports[i].Code = code
			return wasmtest.Encode(o)
		}
	}
	o.Exports = append(o.Exports, wasmtest.Func{Name: name, Signature: signature, Code: code})
	return wasmtest.Encode(o)
}

// A module of which nothing is known may need a configuration.
func TestStartWithoutConfiguration(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		wasm    []byte
		known   bool // that there is no configuration
		refuses string
		problem string
	}{
		"false":            {with("proxy_on_configure", "ii:i", wasmtest.False), false, "proxy_on_configure refuses an empty configuration, and logs nothing", ""},
		"trap":             {with("proxy_on_configure", "ii:i", wasmtest.Unreachable), false, "with an empty configuration proxy_on_configure traps: unreachable", ""},
		"vm":               {with("proxy_on_vm_start", "ii:i", wasmtest.False), false, "proxy_on_vm_start refuses an empty configuration of the VM", ""},
		"false, known":     {with("proxy_on_configure", "ii:i", wasmtest.False), true, "proxy_on_configure refuses an empty configuration", ""},
		"trap, known":      {with("proxy_on_configure", "ii:i", wasmtest.Unreachable), true, "", "proxy_on_configure traps: unreachable"},
		"vm, known":        {with("proxy_on_vm_start", "ii:i", wasmtest.False), true, "", "proxy_on_vm_start returns false"},
		"trap in VM start": {with("proxy_on_vm_start", "ii:i", wasmtest.Unreachable), false, "", "proxy_on_vm_start traps: unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var opts inspect.StartOptions
			if test.known {
				opts.Configuration = new(string)
			}
			_, err := inspect.Check(t.Context(), test.wasm, opts)
			if (err == nil) != (test.problem == "") || err != nil && !strings.Contains(err.Error(), test.problem) {
				t.Errorf("error is %v, want %q", err, test.problem)
			}
			if test.known {
				return
			}
			d, err := inspect.Describe(t.Context(), test.wasm)
			if err != nil {
				t.Fatal(err)
			}
			if loads := d.Envoys[len(d.Envoys)-1].Loads; loads != (test.problem == "") {
				t.Errorf("described as %+v", d.Envoys)
			}
			if test.refuses != "" && !strings.HasPrefix(d.Started.Refuses, test.refuses) {
				t.Errorf("it is told that the module refuses %q, want %q", d.Started.Refuses, test.refuses)
			}
		})
	}
}

// Envoy itself would wait for ever, so this test does not start one.
func TestStartEndlessLoop(t *testing.T) {
	t.Parallel()
	wasm := with("_initialize", ":", wasmtest.Endless)
	_, err := inspect.Check(t.Context(), wasm, inspect.StartOptions{CallTimeout: 50 * time.Millisecond})
	if !errors.Is(err, inspect.ErrWouldNotLoad) || !strings.Contains(err.Error(), "_initialize did not return within 50ms") {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := inspect.Check(ctx, wasm, inspect.StartOptions{}); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, inspect.ErrWouldNotLoad) {
		t.Errorf("interrupted from outside: %v", err)
	}
}

// A module that cannot be started here is not called bad for that.
func TestStartSkipped(t *testing.T) {
	t.Parallel()
	o := wasmtest.Filter()
	o.Others = []wasmtest.Other{{Module: "env", Name: "t", Kind: wasmtest.Table}}
	d, err := inspect.Describe(t.Context(), wasmtest.Encode(o))
	if err != nil {
		t.Fatal(err)
	}
	if d.Started == nil || d.Started.Skipped == "" || !d.Envoys[0].Loads {
		t.Errorf("described as %+v, %+v", d.Started, d.Envoys)
	}
}
