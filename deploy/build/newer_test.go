package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// TestNewerGo: a filter that asks for a newer Go than builds it gets more than Go's own text.
func TestNewerGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module example.com/filter\n\ngo 1.99\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := ReadSources(t.Context(), []catalog.Filter{{Name: "filter", Dir: dir}}, Toolchain{Name: Go, GoVersion: GoToolchain})
	if !errors.Is(err, ErrNewerGo) || !strings.Contains(err.Error(), "requires go >= 1.99") || !strings.Contains(err.Error(), `"go mod edit -go=1.26.0"`) {
		t.Errorf("error %v", err)
	}
}
