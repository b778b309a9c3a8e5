package regular_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/regular"
)

func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := regular.ReadFile(path, 5); err != nil || string(data) != "12345" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := regular.ReadFile(path, 4); err == nil || !strings.Contains(err.Error(), "more than the 4 bytes") {
		t.Errorf("too large: %v", err)
	}
	if _, err := regular.ReadFile(filepath.Join(dir, "none"), 4); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{link, dir, os.DevNull} {
		if _, err := regular.ReadFile(other, 5); !errors.Is(err, regular.ErrOther) || strings.Contains(err.Error(), "12345") {
			t.Errorf("%s: %v", other, err)
		}
	}
}
