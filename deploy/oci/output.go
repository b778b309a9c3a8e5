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

	"github.com/google/renameio/v2"
)

// output is a file that somebody named, while what goes there is not complete yet.
type output struct {
	// File takes what is written.
	*os.File
	// finish lets it appear where it belongs.
	finish func(ctx context.Context) error
	// cleanup removes what finish left behind, or everything if it was not called.
	cleanup func() error
}

// openOutput looks at what is at a path. A rename puts a file in its place, whatever it
// was: as root, /dev/null too. So only a file is replaced, and one that a symlink leads
// to where it is.
func openOutput(path string) (*output, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // or a symlink to nothing
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
	pending, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644), renameio.IgnoreUmask())
	if err != nil {
		return nil, err
	}
	return &output{
		File:    pending.File,
		finish:  func(context.Context) error { return pending.CloseAtomicallyReplace() },
		cleanup: pending.Cleanup,
	}, nil
}

// followLinks returns what a path leads to, which need not exist.
func followLinks(path string) (string, error) {
	for range 255 { // as filepath.EvalSymlinks, which wants it to exist
		to, err := os.Readlink(path)
		if err != nil {
			return path, nil //nolint:nilerr // it is no symlink, or nothing yet
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

// openStream collects what goes into a FIFO or a device in a file of its own: what came
// out of it cannot be taken back.
func openStream(path string) (*output, error) {
	temp, err := os.CreateTemp("", "slipway-pull-")
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
		cleanup: func() error { return errors.Join(temp.Close(), os.Remove(temp.Name())) },
	}, nil
}

// copyInto writes into a FIFO or a device, whose reader may be late or slow, until ctx
// ends.
func copyInto(ctx context.Context, path string, from io.Reader) error {
	opened := make(chan *os.File)
	failed := make(chan error, 1)
	go func() { // to open a FIFO takes until somebody reads from it
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
		return fmt.Errorf("open %s, which nobody reads from: %w", path, context.Cause(ctx))
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
