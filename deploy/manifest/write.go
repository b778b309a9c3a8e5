package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
)

// replace writes the files to a new folder beside dir and then renames it to dir. So dir never
// holds a mixture of old and new files. If anything fails, dir stays as it was.
func replace(dir string, files []File) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	stage, remove, err := scratch.Dir(parent, ".manifests-")
	if err != nil {
		return err
	}
	defer remove() //nolint:errcheck // hidden, and never read

	fresh := filepath.Join(stage, "new")
	if err := writeTree(fresh, files); err != nil {
		return err
	}
	// A folder cannot be renamed over another, so for a moment dir does not exist.
	old := filepath.Join(stage, "old")
	moved := os.Rename(dir, old)
	if moved != nil && !errors.Is(moved, fs.ErrNotExist) {
		return moved
	}
	err = os.Rename(fresh, dir)
	if err != nil && moved == nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return err
}

// writeTree writes files below dir and never outside it.
func writeTree(dir string, files []File) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.FromSlash(file.Path)
		if !filepath.IsLocal(path) {
			return fmt.Errorf("file name %q leaves the folder", file.Path)
		}
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(file.Content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
