package tinygo

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
)

// archive is a small release: a command and a link to it.
func archive(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	const script = "#!/bin/sh\necho tinygo\n"
	for _, entry := range entries {
		if entry.Typeflag == tar.TypeReg {
			entry.Size = int64(len(script))
		}
		if err := w.WriteHeader(&entry); err != nil {
			t.Fatal(err)
		}
		if entry.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(script)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var release = []tar.Header{
	{Name: "tinygo/", Typeflag: tar.TypeDir, Mode: 0o755},
	{Name: "tinygo/bin/tinygo", Typeflag: tar.TypeReg, Mode: 0o755},
	{Name: "tinygo/bin/link", Typeflag: tar.TypeSymlink, Linkname: "tinygo"},
}

// serve pins content as this machine's release, with a cache of the test's own, and serves
// body for it.
func serve(t *testing.T, content, body []byte) (Options, *int) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	platform := runtime.GOOS + "-" + runtime.GOARCH
	before := checksums[platform]
	checksums[platform] = checksum.Bytes(content)
	t.Cleanup(func() { checksums[platform] = before })
	requests := new(int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*requests++
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	return Options{URL: server.URL + "/tinygo.tar.gz"}, requests
}

func TestInstall(t *testing.T) {
	content := archive(t, release...)
	opts, requests := serve(t, content, content)
	if _, err := Installed(); !errors.Is(err, ErrNotInstalled) {
		t.Fatalf("error is %v, want ErrNotInstalled", err)
	}
	for range 2 {
		path, err := Install(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		output, err := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(path), "link")).Output()
		if err != nil || string(output) != "tinygo\n" {
			t.Errorf("the command says %q, %v", output, err)
		}
	}
	if *requests != 1 {
		t.Errorf("downloaded %d times, want once", *requests)
	}
}

func TestInstallErrors(t *testing.T) {
	content := archive(t, release...)
	escaping := archive(t, tar.Header{Name: "../escaped", Typeflag: tar.TypeReg, Mode: 0o644})
	empty := archive(t, release[0])
	for name, test := range map[string]struct {
		pinned, served []byte
		want           string
	}{
		"another archive": {content, empty, "nothing was installed"},
		"cut short":       {content, content[:len(content)/2], "nothing was installed"},
		"no command":      {empty, empty, "the archive holds no tinygo command"},
		"escaping path":   {escaping, escaping, "../escaped: "},
		"no archive":      {[]byte("x"), []byte("x"), "unpack: "},
	} {
		t.Run(name, func(t *testing.T) {
			opts, _ := serve(t, test.pinned, test.served)
			_, err := Install(t.Context(), opts)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q in it", err, test.want)
			}
			if _, err := Installed(); !errors.Is(err, ErrNotInstalled) {
				t.Errorf("afterwards: %v, want ErrNotInstalled", err)
			}
			entries, err := os.ReadDir(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "slipway", "tinygo"))
			if err != nil || len(entries) != 0 {
				t.Errorf("the cache holds %v, %v", entries, err)
			}
		})
	}
	opts, _ := serve(t, content, content)
	delete(checksums, runtime.GOOS+"-"+runtime.GOARCH)
	if _, err := Install(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "there is no pinned archive for") {
		t.Errorf("error is %v", err)
	}
}
