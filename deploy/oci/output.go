package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
)

// output is a file that the caller named, while its content is not complete yet.
type output struct {
	// File takes the content.
	*os.File
	// finish makes it appear where it belongs.
	finish func(ctx context.Context) error
	// cleanup removes what finish left behind, or everything if it was not called.
	cleanup func() error
}

// openOutput looks at what exists at a path. A rename replaces anything there, as root
// even /dev/null. So only a file is replaced. If a symlink leads to a file, that file
// is replaced and the link stays.
func openOutput(path string) (*output, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // also a symlink to nothing
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder; give the name of a file in it", path)
	case info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0:
		return openStream(path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is neither a file nor a FIFO (%s); give the name of a file", path, info.Mode())
	}
	if path, err = followLinks(path); err != nil {
		return nil, err
	}
	pending, closePending, err := scratch.NewFile(path, 0o644)
	if err != nil {
		return nil, err
	}
	return &output{
		File:    pending.File,
		finish:  func(context.Context) error { return pending.CloseAtomicallyReplace() },
		cleanup: closePending,
	}, nil
}

// followLinks returns the target of a path's symlinks. The target need not exist.
func followLinks(path string) (string, error) {
	for range 255 { // as filepath.EvalSymlinks, which fails if the target does not exist
		to, err := os.Readlink(path)
		if err != nil {
			return path, nil //nolint:nilerr // not a symlink, or nothing there yet
		}
		if !filepath.IsAbs(to) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				return "", err
			}
			to = filepath.Join(dir, to)
		}
		path = to
	}
	return "", fmt.Errorf("%s: too many symlinks", path)
}

// openStream first collects the content for a FIFO or a device in a temporary file,
// because what was written to it cannot be taken back.
func openStream(path string) (*output, error) {
	temp, remove, err := temporary("pull-")
	if err != nil {
		return nil, err
	}
	return &output{
		File: temp,
		finish: func(ctx context.Context) error {
			if _, err := temp.Seek(0, io.SeekStart); err != nil {
				return err
			}
			return copyInto(ctx, path, temp)
		},
		cleanup: remove,
	}, nil
}

// temporary opens a new file in a temporary folder. remove closes it and removes both.
func temporary(prefix string) (file *os.File, remove func() error, err error) {
	dir, removeDir, err := scratch.Dir("", prefix)
	if err != nil {
		return nil, nil, err
	}
	if file, err = os.Create(filepath.Join(dir, "content")); err != nil {
		return nil, nil, errors.Join(err, removeDir())
	}
	return file, func() error { return errors.Join(file.Close(), removeDir()) }, nil
}

// copyInto writes to a FIFO or a device until ctx ends. Its reader may be late or slow.
func copyInto(ctx context.Context, path string, from io.Reader) error {
	opened := make(chan *os.File)
	failed := make(chan error, 1)
	go func() { // opening a FIFO blocks until somebody reads from it
		to, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			failed <- err
			return
		}
		select {
		case opened <- to:
		case <-ctx.Done():
			_ = to.Close()
		}
	}()
	var to *os.File
	select {
	case <-ctx.Done():
		return fmt.Errorf("open %s: no process reads from it: %w", path, context.Cause(ctx))
	case err := <-failed:
		return err
	case to = <-opened:
	}
	stop := context.AfterFunc(ctx, func() { _ = to.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := io.Copy(to, from)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("write %s: %w", path, context.Cause(ctx))
	}
	return errors.Join(err, to.Close())
}
