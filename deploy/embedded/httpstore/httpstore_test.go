package httpstore_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
)

func serve(t *testing.T, dir string) *httpstore.Server {
	t.Helper()
	server, err := httpstore.Serve(httpstore.ServeOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func address(t *testing.T, server *httpstore.Server) string {
	t.Helper()
	u, err := url.Parse(server.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func sum(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// What was put is served as it is, with the headers that consumers rely on.
func TestServe(t *testing.T) {
	t.Parallel()
	server := serve(t, t.TempDir())
	const key, content = "headers/1.0.0/headers.wasm", "\x00asm, or what stands for it"
	object, err := server.Put(key, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if want := (httpstore.Object{Key: key, SHA256: sum(content), Size: int64(len(content))}); object != want {
		t.Errorf("Put = %+v, want %+v", object, want)
	}

	req, err := http.NewRequest(http.MethodGet, server.URL(key), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip, br") // an offer that must not be taken
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK || string(body) != content || err != nil {
		t.Errorf("GET = %s, %q, %v", res.Status, body, err)
	}
	for name, want := range map[string]string{
		"Content-Type":     "application/wasm",
		"Content-Length":   fmt.Sprint(len(content)),
		"Content-Encoding": "",
		"Cache-Control":    "public, max-age=31536000, immutable",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(dir, "secret.wasm")
	if err := os.WriteFile(outside, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "store")
	server := serve(t, folder)
	if _, err := server.Put("a/x.wasm", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, ".hidden"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(folder, "link.wasm")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/a/x.wasm", http.StatusOK},
		{http.MethodHead, "/a/x.wasm", http.StatusOK},
		{http.MethodGet, "/a/y.wasm", http.StatusNotFound},
		{http.MethodGet, "/a", http.StatusNotFound}, // no listing
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, "/../secret.wasm", http.StatusNotFound},
		{http.MethodGet, "/a/%2e%2e/%2e%2e/secret.wasm", http.StatusNotFound},
		{http.MethodGet, "/link.wasm", http.StatusNotFound},
		{http.MethodGet, "/.hidden", http.StatusNotFound},
		{http.MethodPut, "/a/x.wasm", http.StatusMethodNotAllowed},
		{http.MethodDelete, "/a/x.wasm", http.StatusMethodNotAllowed},
	} {
		// Written by hand: http.Client would clean the path.
		conn, err := net.Dial("tcp", address(t, server))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", test.method, test.path)
		answer, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || !strings.HasPrefix(string(answer), fmt.Sprintf("HTTP/1.1 %d ", test.want)) {
			t.Errorf("%s %s: %v, want status %d:\n%s", test.method, test.path, err, test.want, answer)
		}
		if strings.HasSuffix(string(answer), "secret") {
			t.Errorf("%s %s gave a file away", test.method, test.path)
		}
	}
}

// An object never changes: the same bytes again are fine, others refused.
func TestPutIsImmutable(t *testing.T) {
	t.Parallel()
	store, err := httpstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	first, err := store.Put("k/x.wasm", strings.NewReader("one"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := store.Put("k/x.wasm", strings.NewReader("one")); again != first || err != nil {
		t.Errorf("same bytes: %+v, %v", again, err)
	}
	_, err = store.Put("k/x.wasm", strings.NewReader("two"))
	if !errors.Is(err, httpstore.ErrExists) || !strings.Contains(err.Error(), sum("one")) || !strings.Contains(err.Error(), sum("two")) {
		t.Errorf("other bytes: %v, want ErrExists with both sums", err)
	}
	if now, err := store.Stat("k/x.wasm"); now != first || err != nil {
		t.Errorf("afterwards: %+v, %v", now, err)
	}
}

// Of many writers with different bytes exactly one wins.
func TestPutAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const writers = 8
	results := make(chan error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			store, err := httpstore.Open(dir)
			if err == nil {
				defer store.Close()
				_, err = store.Put("x.wasm", strings.NewReader(fmt.Sprint("bytes of ", i)))
			}
			results <- err
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, httpstore.ErrExists):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d writers won, want 1", won)
	}
	assertOnly(t, dir, "x.wasm")
}

// A source that breaks off leaves nothing behind.
func TestPutBreaksOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := httpstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	broken := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := store.Put("x.wasm", broken); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got error %v", err)
	}
	if _, err := store.Stat("x.wasm"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat: %v, want ErrNotExist", err)
	}
	assertOnly(t, dir)
}

func assertOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder has %q, want %q", got, want)
	}
}

func TestPutRefusesKeys(t *testing.T) {
	t.Parallel()
	store, err := httpstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, key := range []string{"", ".", "..", "../x", "/x", "a//x", "a/../x", "a/./x", "x/", ".hidden", "a/.put-1"} {
		if _, err := store.Put(key, strings.NewReader("x")); !errors.Is(err, httpstore.ErrKey) {
			t.Errorf("Put(%q): %v, want ErrKey", key, err)
		}
		if _, err := store.Stat(key); !errors.Is(err, httpstore.ErrKey) {
			t.Errorf("Stat(%q): %v, want ErrKey", key, err)
		}
	}
}

func TestServeNamesTakenPort(t *testing.T) {
	t.Parallel()
	first := serve(t, t.TempDir())
	addr := address(t, first)
	_, err := httpstore.Serve(httpstore.ServeOptions{Dir: t.TempDir(), Addr: addr})
	if err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("got error %v, want one that names %s", err, addr)
	}
}
