package storage

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// fast retries without delay.
var fast = retry.Policy{Tries: 3, Delay: time.Millisecond, MaxDelay: time.Millisecond}

// module makes a module that consists of a letter.
func module(t *testing.T, name string, letter byte, size int) build.Module {
	t.Helper()
	data := bytes.Repeat([]byte{letter}, size)
	path := filepath.Join(t.TempDir(), name+".wasm")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return build.Module{Path: path, Record: build.Record{Name: name, WasmSHA256: checksum.Bytes(data), Size: int64(size)}}
}

func release(text string, modules ...build.Module) UploadOptions {
	return UploadOptions{Version: version.MustParse(text), Modules: modules}
}

// embedded opens an embedded storage in a new folder.
func embedded(t *testing.T) (*Storage, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Retry: fast})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, dir
}

// open opens a storage behind a server that takes PUT.
func open(t *testing.T, server *httptest.Server, opts Options) *Storage {
	t.Helper()
	opts.URL, opts.Retry = server.URL+"/filters", fast
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustUpload(t *testing.T, s *Storage, opts UploadOptions) []Object {
	t.Helper()
	objects, err := Upload(t.Context(), s, opts)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func withTimeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// tree returns every file below a folder with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// wantError fails unless the error has all parts, in the given order.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %q", parts)
	}
	rest := err.Error()
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("error %q lacks %q", err, part)
			return
		}
		rest = after
	}
}
