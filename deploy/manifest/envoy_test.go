package manifest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// TestEnvoyFollowsNoRedirect shows why a URL that redirects gets no envoy.yaml.
func TestEnvoyFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	bin, err := envoy.Find(t.Context(), envoy.FindOptions{})
	if errors.Is(err, envoy.ErrNotFound) {
		t.Skipf("needs an Envoy: go online, or set ENVOY_PATH: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	wasm := wasmtest.Encode(wasmtest.Filter())
	sum := sha256.Sum256(wasm)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, err := strconv.Atoi(strings.Trim(r.URL.Path, "/")); err == nil {
			http.Redirect(w, r, "/module.wasm", status)
			return
		}
		_, _ = w.Write(wasm)
	}))
	t.Cleanup(server.Close)
	_, text, _ := net.SplitHostPort(server.Listener.Addr().String())
	port, _ := strconv.Atoi(text) // httptest's
	for _, path := range []string{"/module.wasm", "/301", "/302", "/307", "/308"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			config, err := envoyconf.Render(envoyconf.BuildOptions{
				Upstream: envoyconf.Address{Port: port},
				Listeners: []envoyconf.Listener{{Filters: []envoyconf.Filter{{
					Name:   "headers",
					Source: envoyconf.Remote{URL: server.URL + path, SHA256: hex.EncodeToString(sum[:]), Retries: -1},
				}}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			proxy, err := envoy.Start(t.Context(), envoy.StartOptions{Path: bin.Path, Config: config, Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = proxy.Stop() }()
			address, err := proxy.ListenerURL(t.Context(), envoyconf.DefaultListener)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.Get(address)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if path == "/module.wasm" {
				if res.StatusCode != http.StatusOK {
					t.Errorf("status %d\n%s", res.StatusCode, proxy.Report(nil))
				}
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := envoytest.Until(ctx, func() error {
				if !strings.Contains(strings.Join(proxy.Log().Lines(0), "\n"), "Retry limit exceeded for fetching data from remote data source") {
					return errors.New("Envoy has not given up")
				}
				return nil
			}); err != nil || res.StatusCode == http.StatusOK {
				t.Errorf("status %d, %v\n%s", res.StatusCode, err, proxy.Report(nil))
			}
		})
	}
}

// Envoy itself accepts the bootstraps in the golden files, and refuses one with a typo.
func TestEnvoyTakesBootstrap(t *testing.T) {
	t.Parallel()
	bin, err := envoy.Find(t.Context(), envoy.FindOptions{})
	if errors.Is(err, envoy.ErrNotFound) {
		t.Skipf("needs an Envoy: go online, or set ENVOY_PATH: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/golden/*/envoy.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("only %v, %v", files, err)
	}
	validate := func(t *testing.T, file string) ([]byte, error) {
		t.Helper()
		return exec.CommandContext(t.Context(), bin.Path, "--mode", "validate", "--config-path", file).CombinedOutput()
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Parallel()
			if output, err := validate(t, file); err != nil {
				t.Errorf("%s: %v\n%s", file, err, output)
			}
		})
	}
	t.Run("typo", func(t *testing.T) {
		t.Parallel()
		content, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		broken := filepath.Join(t.TempDir(), "envoy.yaml")
		if err := os.WriteFile(broken, []byte(strings.Replace(string(content), "failure_policy", "failure_polcy", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if output, err := validate(t, broken); err == nil || !strings.Contains(string(output), "failure_polcy") {
			t.Errorf("a typo is taken: %v\n%s", err, output)
		}
	})
}
