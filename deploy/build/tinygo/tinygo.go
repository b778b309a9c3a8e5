// Package tinygo downloads the TinyGo release that Slipway pins.
//
// TinyGo is in no package registry, and the compiler of modules for gateways must be exactly
// the one that was checked. So this package holds its version and the checksums of its
// archives. TinyGo goes into the user's cache folder: nothing needs root, and nothing else on
// the machine changes.
package tinygo

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
)

// Version is the pinned release: https://github.com/tinygo-org/tinygo/releases
const Version = "0.41.1"

// checksums are the sha256 of the release's archives by GOOS-GOARCH.
var checksums = map[string]string{
	"linux-amd64":  "e156d1d93a376eef639a4143d13be07e8c463fb6cf2d7d447698ed4474d23e91",
	"linux-arm64":  "789733bc3b5bace0bd1835a267b3ea267804a7ef1cfe69bc522c295f5226d624",
	"darwin-amd64": "1a8e62a234d3aea20793ada2c4a628de96ed7533384f0f5dc3c3f2ffa84f9bab",
	"darwin-arm64": "c684d154d89a452cc9c7fc5dc5fc80cb6a42445b3e44b3c12ed048692de0f341",
}

// ErrNotInstalled says that the pinned release is not in the cache folder.
var ErrNotInstalled = errors.New("TinyGo " + Version + " was not downloaded")

// downloadTimeout limits the download: an archive is about 100 MB.
const downloadTimeout = 10 * time.Minute

// Installed returns the path of the tinygo command in the cache folder, or
// ErrNotInstalled.
func Installed() (string, error) {
	dir, err := folder()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	path := command(dir)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", ErrNotInstalled
	} else if err != nil {
		return "", err
	}
	return path, nil
}

// folder returns the folder in which the complete release lies.
func folder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "slipway", "tinygo", Version), nil
}

func command(dir string) string { return filepath.Join(dir, "tinygo", "bin", "tinygo") }

// Options says where to get the archive. The zero value is the pinned release for this
// machine.
type Options struct {
	// URL is the address of the archive. It may name a mirror: the checksum stays the pinned
	// one. Default: TinyGo's release on GitHub.
	URL string
	// Client makes the request. Default: http.DefaultClient.
	Client *http.Client
	// Out gets one line for each step. Default: nothing is written.
	Out io.Writer
}

// Install downloads the pinned release, compares its sha256 and unpacks it into
// the user's cache folder, unless it is there. It returns the path of the tinygo
// command. The folder appears as a whole or not at all.
//
// It fails if the pinned release has no archive for this machine, on any answer but 200, and
// if the archive has another checksum. In that case it unpacks nothing.
func Install(ctx context.Context, opts Options) (string, error) {
	opts.Out = cmp.Or(opts.Out, io.Discard)
	path, err := Installed()
	if err == nil {
		fmt.Fprintf(opts.Out, "TinyGo %s is at %s\n", Version, path)
		return path, nil
	}
	if !errors.Is(err, ErrNotInstalled) {
		return "", err
	}
	platform := runtime.GOOS + "-" + runtime.GOARCH
	want, ok := checksums[platform]
	if !ok {
		return "", fmt.Errorf("install TinyGo %s: there is no pinned archive for %s; install it yourself: https://tinygo.org/getting-started/install", Version, platform)
	}
	opts.URL = cmp.Or(opts.URL, fmt.Sprintf("https://github.com/tinygo-org/tinygo/releases/download/v%s/tinygo%s.%s.tar.gz", Version, Version, platform))
	dir, err := folder()
	if err != nil {
		return "", fmt.Errorf("install TinyGo: %w; set HOME or XDG_CACHE_HOME", err)
	}
	fmt.Fprintf(opts.Out, "downloading TinyGo %s from %s\n", Version, opts.URL)
	if err := install(ctx, opts, want, dir); err != nil {
		return "", fmt.Errorf("install TinyGo %s from %s: %w", Version, opts.URL, err)
	}
	fmt.Fprintf(opts.Out, "TinyGo %s is at %s\n", Version, command(dir))
	return command(dir), nil
}

func install(ctx context.Context, opts Options, want, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".download-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()

	archive := filepath.Join(work, "archive")
	if err := download(ctx, opts, want, archive); err != nil {
		return err
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := unpack(archive, unpacked); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if _, err := os.Stat(command(unpacked)); err != nil {
		return fmt.Errorf("the archive holds no tinygo command: %w", err)
	}
	err = os.Rename(unpacked, dir)
	if _, installed := Installed(); installed == nil {
		return nil // by us, or by another run that was quicker
	}
	return err
}

// download writes the archive to a file and compares its checksum.
func download(ctx context.Context, opts Options, want, file string) error {
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, opts.URL, nil)
	if err != nil {
		return err
	}
	client := cmp.Or(opts.Client, http.DefaultClient)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s", resp.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	got, _, err := checksum.Reader(io.TeeReader(resp.Body, f))
	if err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the archive has sha256 %s, the pinned one is %s; nothing was installed", got, want)
	}
	return nil
}

// unpack writes the archive's folders, files and links below dir. The checksum makes the
// archive trustworthy; os.Root still keeps every path inside dir.
func unpack(archive, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	entries := tar.NewReader(zipped)
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackEntry(root, entry, entries); err != nil {
			return fmt.Errorf("%s: %w", entry.Name, err)
		}
	}
}

func unpackEntry(root *os.Root, entry *tar.Header, content io.Reader) error {
	name := filepath.Clean(filepath.FromSlash(entry.Name))
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	switch entry.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeSymlink:
		return root.Symlink(entry.Linkname, name)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(entry.Mode).Perm())
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, content); err != nil {
			_ = f.Close()
			return err
		}
		return f.Close()
	}
	return nil
}
