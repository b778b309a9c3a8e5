package inspect

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

func zipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func archived(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, header := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "dir/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "dir/plugin.wasm", Mode: 0o644, Size: int64(len(content))},
	} {
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFetch(t *testing.T) {
	t.Parallel()
	wasm := wasmtest.Encode(wasmtest.Filter())
	files := map[string][]byte{
		"/plain":  wasm,
		"/gzip":   zipped(t, wasm),
		"/tar":    archived(t, wasm),
		"/tar.gz": zipped(t, archived(t, wasm)),
		"/cut":    zipped(t, wasm)[:20],
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("gzip was asked for, which the client unpacks in silence")
		}
		if path, ok := strings.CutPrefix(r.URL.Path, "/moved"); ok {
			http.Redirect(w, r, path+"?signature=secret", http.StatusFound)
			return
		}
		switch r.URL.Path {
		case "/redirect":
			w.Header().Set("Location", "http://user:secret@127.0.0.1:1/b?signature=secret")
		case "/broken":
			w.Header().Set("Location", "http://user:secret@127.0.0.1:x/b?signature=secret")
		case "/loop":
			w.Header().Set("Location", "/loop?signature=secret")
		}
		if w.Header().Get("Location") != "" {
			w.WriteHeader(http.StatusFound)
			return
		}
		content, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	for _, path := range []string{"/plain", "/gzip", "/tar", "/tar.gz"} {
		got, err := Fetch(t.Context(), server.URL+path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if !bytes.Equal(got.Wasm, wasm) || got.Packed != (path != "/plain") || got.Redirect != "" {
			t.Errorf("%s: %d bytes, packed %t, redirect %q", path, len(got.Wasm), got.Packed, got.Redirect)
		}
	}
	got, err := Fetch(t.Context(), server.URL+"/moved/moved/plain")
	if err != nil || !bytes.Equal(got.Wasm, wasm) || got.Redirect != server.URL+"/plain" {
		t.Errorf("redirected: %+v, %v", got, err)
	}
	withUser := strings.Replace(server.URL, "http://", "http://user:secret@", 1)
	for url, want := range map[string]string{
		server.URL + "/cut":     "unpack it: unexpected EOF",
		server.URL + "/missing": "answers 404 Not Found",
		"http://127.0.0.1:1/":   "connection refused",
		"http://[":              "fetch module: http://[hidden] is no URL",
		// Credentials are never shown, wherever they are and whoever sent them.
		withUser + "/missing":                    "fetch module: " + server.URL + "/missing answers 404",
		withUser + "/cut":                        "fetch module: " + server.URL + "/cut: unpack it",
		server.URL + "/missing?signature=secret": "fetch module: " + server.URL + "/missing answers 404",
		"http://127.0.0.1:1/a?signature=secret":  "http://127.0.0.1:1/a\": dial tcp",
		"https://user:secret#x@127.0.0.1/":       "fetch module: https://[hidden] is no URL",
		server.URL + "/redirect":                 "http://127.0.0.1:1/b\": dial tcp",
		server.URL + "/broken":                   "failed to parse Location header",
		server.URL + "/loop":                     "stopped after 10 redirects",
	} {
		if _, err := Fetch(t.Context(), url); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error is %v, want %q in it", url, err, want)
		}
	}
}

// FuzzUnpack: whatever a server answers, unpacking ends, and returns no more than proxies
// accept.
func FuzzUnpack(f *testing.F) {
	wasm := wasmtest.Encode(wasmtest.Filter())
	for _, seed := range [][]byte{nil, wasm, zipped(f, wasm), archived(f, wasm), zipped(f, archived(f, wasm)), zipped(f, zipped(f, wasm)), zipped(f, wasm)[:20]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		unpacked, err := unpack(body)
		if err == nil && len(unpacked) > maxModule {
			t.Errorf("%d bytes became %d", len(body), len(unpacked))
		}
	})
}
