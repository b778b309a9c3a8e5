//go:build linux

package agent

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"istio.io/istio/pkg/wasm"
)

func openForTest(t *testing.T, path string) *DataDir {
	t.Helper()
	d, err := OpenDataDir(t.Context(), path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fetch has Istio's own cache fetch a module into the folder.
func fetch(t *testing.T, d *DataDir) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("\x00asm\x01\x00\x00\x00")) //nolint:errcheck // the client notices
	}))
	defer server.Close()
	url = server.URL + "/greeting.wasm"
	if err := d.Expect(`url: "` + url + `"`); err != nil {
		t.Fatal(err)
	}
	cache := wasm.NewLocalFileCache(d.path, wasm.Options{HTTPRequestTimeout: time.Minute, HTTPRequestMaxRetries: 1})
	defer cache.Cleanup()
	file, err := cache.Get(url, wasm.GetOptions{RequestTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(file, d.path) {
		t.Fatalf("the module is in %s", file)
	}
	return url
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// Afterwards the folder holds what it held before, and nothing else, whether the mesh
// closed it or was killed.
func TestDataDirLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, before := range map[string][]string{
		"no folder":          nil,
		"a folder":           {"istio/data/"},
		"an agent's modules": {"istio/data/0123/4567.wasm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for _, path := range before {
				if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(path, ".wasm") {
					if err := os.WriteFile(filepath.Join(root, path), nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			want := tree(t, root)
			data := filepath.Join(root, "istio", "data")

			killed := openForTest(t, data)
			fetch(t, killed)
			if err := killed.journal.Close(); err != nil { // as the kernel does
				t.Fatal(err)
			}
			if slices.Equal(tree(t, root), want) {
				t.Fatal("nothing was put there, so nothing is tested")
			}

			d := openForTest(t, data)
			fetch(t, d)
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			if got := tree(t, root); !slices.Equal(got, want) {
				t.Errorf("afterwards there is %q, before there was %q", got, want)
			}
		})
	}
}

func tree(t *testing.T, root string) []string {
	t.Helper()
	var paths []string
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// Only one mesh uses the folder at a time. The next one gets it when the first one
// closes it, although closing removes the folder.
func TestDataDirIsLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data")
	first := openForTest(t, path)

	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("tired of waiting"))
	defer cancel()
	if _, err := OpenDataDir(ctx, path, io.Discard); err == nil || !strings.Contains(err.Error(), "tired of waiting") {
		t.Errorf("the second one got %v", err)
	}

	opened := make(chan error, 1)
	go func() {
		second, err := OpenDataDir(t.Context(), path, io.Discard)
		if err == nil {
			err = second.Close()
		}
		opened <- err
	}()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
	if exists(t, path) {
		t.Error("the folder is still there")
	}
}

func TestDataDirSaysWhatToDo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(file, "data")
	_, err := OpenDataDir(t.Context(), path, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `sudo install -d -o "$USER" `+path) {
		t.Errorf("got error %v", err)
	}
}

func TestModuleNames(t *testing.T) {
	t.Parallel()
	for manifest, want := range map[string]string{
		"url: oci://127.0.0.1:5000/oci/greeting@sha256:0123":     "oci://127.0.0.1:5000/oci/greeting",
		`url: "oci://127.0.0.1:5000/oci/greeting:1.0.0"`:         "oci://127.0.0.1:5000/oci/greeting",
		"uri: http://127.0.0.1:80/ecds/h/1.0.0/h.wasm\ntimeout:": "http://127.0.0.1:80/ecds/h/1.0.0/h.wasm",
	} {
		if got := moduleNames(manifest); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", manifest, got, want)
		}
	}
}
