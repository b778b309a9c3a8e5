package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// TestStart compares with Envoy what package inspect says of a module that it started.
// Some of the modules start, and each of the others fails in a way of its own.
//
// No module runs for ever, because Envoy would wait for it.
func TestStart(t *testing.T) {
	forEachEnvoy(t, func(t *testing.T, bin envoy.Binary) {
		version := bin.Version[:strings.LastIndexByte(bin.Version, '.')]
		for name, module := range wasmtest.Starts() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				example := configuration
				report, err := inspect.Check(t.Context(), wasmtest.Encode(module.Options), inspect.StartOptions{Configuration: &example})
				if report == nil {
					t.Fatal(err)
				}
				// inspect says what the newest Envoy does, or names the first Envoy
				// that loads a module.
				old := envoyLess(version, module.From)
				loads := err == nil && !envoyLess(version, report.EnvoyMin) || module.Fails || module.Reason != "" && old
				proxy, loadErr := load(t, bin, module.Options)
				if (loadErr == nil) != loads {
					t.Fatalf("inspect says %v, lowest Envoy %q; Envoy says %v", err, report.EnvoyMin, loadErr)
				}
				if !loads {
					return
				}
				listener, err := proxy.ListenerURL(suite.ctx, envoyconf.DefaultListener)
				if err != nil {
					t.Fatal(err)
				}
				res, err := http.Get(listener + "/status/204")
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close() //nolint:errcheck // nothing was written
				if want := map[bool]int{false: http.StatusNoContent, true: http.StatusServiceUnavailable}[module.Fails]; res.StatusCode != want {
					t.Errorf("a request through the module gets %s, want %d\n%s", res.Status, want, proxy.Report(nil))
				}
			})
		}
	})
}

// envoyLess compares two versions as major.minor, of which the second may be empty.
func envoyLess(a, b string) bool {
	return b != "" && (len(a) < len(b) || len(a) == len(b) && a < b)
}
