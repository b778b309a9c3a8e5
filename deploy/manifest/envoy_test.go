package manifest_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/envoy"
)

// Envoy itself takes the bootstraps in the golden files, and would not take one with
// a typo.
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
