package httpstore_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// add writes a file and has the server serve it.
func add(t *testing.T, server *httpstore.Server, key, content string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "module.wasm")
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Add(key, file); err != nil {
		t.Fatal(err)
	}
}

// An added file is served unchanged, with the headers that consumers rely on.
func TestServe(t *testing.T) {
	t.Parallel()
	server := serve(t, t.TempDir())
	const key, content = "headers/1.0.0/headers.wasm", "\x00asm, or what stands for it"
	add(t, server, key, content)
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
	add(t, server, "a/x.wasm", "x")
	for _, hidden := range []string{".hidden", filepath.Join("a", ".put-1")} {
		if err := os.WriteFile(filepath.Join(folder, hidden), []byte("secret"), 0o644); err != nil {
			t.Fatal(err)
		}
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
		{http.MethodGet, "/a/.put-1", http.StatusNotFound},
		{http.MethodGet, "/a//x.wasm", http.StatusNotFound},
		{http.MethodGet, "/a/./x.wasm", http.StatusNotFound},
		{http.MethodGet, "/a/x.wasm/", http.StatusNotFound},
		{http.MethodPut, "/a/x.wasm", http.StatusMethodNotAllowed},
		{http.MethodDelete, "/a/x.wasm", http.StatusMethodNotAllowed},
	} {
		// This request is written by hand, because http.Client would clean the path.
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

func TestServeNamesTakenPort(t *testing.T) {
	t.Parallel()
	first := serve(t, t.TempDir())
	addr := address(t, first)
	_, err := httpstore.Serve(httpstore.ServeOptions{Dir: t.TempDir(), Addr: addr})
	if err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("got error %v, want one that names %s", err, addr)
	}
}
