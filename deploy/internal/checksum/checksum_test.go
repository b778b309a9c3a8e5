package checksum_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
)

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "abc")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	// https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if sum, err := checksum.File(os.Open, path); sum != want || err != nil {
		t.Errorf("got %q, %v; want %q", sum, err, want)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if sum, err := checksum.File(root.Open, "abc"); sum != want || err != nil {
		t.Errorf("in a root: %q, %v; want %q", sum, err, want)
	}
	if _, err := checksum.File(root.Open, "missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := checksum.File(os.Open, dir); err == nil {
		t.Error("a folder has a sum")
	}
}
