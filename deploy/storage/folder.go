package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"

	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
)

// folder is a Bucket in a directory that some web server serves. Several processes on one
// machine can use it safely, and so can machines that share a network file system with hard
// links and locks.
type folder struct{ dir string }

var _ Bucket = (*folder)(nil)

// tempPrefix begins the names of incomplete uploads. Most web servers are told not to serve
// names with a leading dot; nothing refers to these names anyway.
const tempPrefix = ".slipway-"

// Get opens an object.
func (f *folder) Get(_ context.Context, key string) (io.ReadCloser, string, error) {
	file, err := os.OpenInRoot(f.dir, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", ErrNotFound
	}
	return file, "", err
}

// Create writes a file under a temporary name and links it to the key. Linking fails if the
// key is taken: of two writers one wins.
func (f *folder) Create(_ context.Context, key string, content Content) error {
	return f.write(key, content, func(root *os.Root, temp string) error {
		err := root.Link(temp, key)
		if errors.Is(err, fs.ErrExist) {
			return ErrPrecondition
		}
		return err
	})
}

// Replace renames a file over the key. It holds a lock, which ends with the process.
func (f *folder) Replace(ctx context.Context, key string, old State, content Content) error {
	return f.write(key, content, func(root *os.Root, temp string) error {
		lock := flock.New(filepath.Join(f.dir, tempPrefix+"lock"))
		if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("lock %s: %w", lock.Path(), err)
		}
		defer func() { _ = lock.Close() }()
		switch sum, err := checksum.File(root.Open, key); {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		case sum != old.SHA256:
			return ErrPrecondition
		}
		return root.Rename(temp, key)
	})
}

// write makes a complete file in a temporary folder beside all objects, and calls place to move it
// to the key.
func (f *folder) write(key string, content Content, place func(root *os.Root, temp string) error) error {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.MkdirAll(path.Dir(key), 0o755); err != nil {
		return err
	}
	dir, remove, err := scratch.Dir(f.dir, tempPrefix+"upload-")
	if err != nil {
		return err
	}
	defer func() { _ = remove() }()
	temp := path.Join(filepath.Base(dir), path.Base(key))
	if err := writeFile(root, temp, content); err != nil {
		return err
	}
	return place(root, temp)
}

func writeFile(root *os.Root, name string, content Content) error {
	body, err := content.Open()
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	if err == nil {
		err = file.Sync() // before the checksum that vouches for it
	}
	return errors.Join(err, file.Close())
}
