package storage

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// refusing answers every request to change something with the status, and every other with
// 404.
func refusing(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.NotFound(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", "https://login.example.com/?state="+secret)
		http.Error(w, "no:\n"+http.StatusText(status), status)
	}
}

// repeating repeats in its refusal what it was sent, credentials included.
func repeating(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		http.NotFound(w, r)
		return
	}
	name, password, _ := r.BasicAuth()
	w.WriteHeader(http.StatusForbidden)
	_, _ = fmt.Fprintf(w, "you sent %q: %s %s", r.Header.Get("Authorization"), name, password)
}

// losing acknowledges every write, and stores nothing.
func losing(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch {
	case r.Method == http.MethodGet:
		http.NotFound(w, r)
	case r.Method == http.MethodPut && r.Header.Get("If-Match")+r.Header.Get("If-None-Match") != "" && strings.HasSuffix(r.URL.Path, probeKey):
		w.WriteHeader(http.StatusPreconditionFailed) // it seems to honour conditions
	case r.Method == http.MethodPut:
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// cutting closes the connection in the middle of every body.
func cutting(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	panic(http.ErrAbortHandler)
}

func TestUploadToFaultyServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		server http.HandlerFunc
		want   []string
	}{
		{"no space", refusing(http.StatusInsufficientStorage), []string{"PUT http://127.0.0.1:", ": 507 Insufficient Storage: no: Insufficient Storage; the storage is full: make room, then run it again"}},
		{"wrong credentials", refusing(http.StatusUnauthorized), []string{": 401 Unauthorized: no: Unauthorized; the server does not know who asks, or not by these credentials"}},
		{"no permission", refusing(http.StatusForbidden), []string{": 403 Forbidden: no: Forbidden; these credentials may not do that: allow them to read and write below this address, or use others"}},
		{"too large", refusing(http.StatusRequestEntityTooLarge), []string{": 413 Request Entity Too Large: ", "; the server or a proxy before it limits uploads: raise its limit (nginx: client_max_body_size)"}},
		{"no PUT", refusing(http.StatusMethodNotAllowed), []string{": 405 Method Not Allowed: ", "; the server does not take PUT here: allow it (nginx: dav_methods PUT DELETE MKCOL MOVE), or use another address"}},
		{"redirect", refusing(http.StatusFound), []string{": 302 Found: ", "; an upload does not follow redirects: use the address behind it"}},
		{"busy for ever", refusing(http.StatusServiceUnavailable), []string{": 503 Service Unavailable: no: Service Unavailable"}},
		{"repeats secrets", repeating, []string{`: 403 Forbidden: you sent "Basic [hidden]": user [hidden]; these credentials`}},
		{"acknowledges and loses", losing, []string{"headers.wasm back: the storage accepted it and does not have it; look at the storage, then run it again"}},
		{"cuts connections", cutting, []string{"upload 1.0.0 to http://127.0.0.1:", "EOF"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.server)
			t.Cleanup(server.Close)
			var out bytes.Buffer
			s := open(t, server, Options{Username: "user", Password: secret, Out: &out})
			_, err := Upload(withTimeout(t), s, release("1.0.0", module(t, "headers", 'a', 3<<20)))
			wantError(t, err, c.want...)
			if strings.Contains(err.Error()+out.String(), secret) {
				t.Errorf("a secret is shown: %v\n%s", err, out.String())
			}
		})
	}
}

// A 403 does not mean that there is no object: nothing may be created over it.
func TestForbiddenIsNotAbsent(t *testing.T) {
	t.Parallel()
	var puts atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			puts.Add(1)
			return
		}
		http.Error(w, "no", http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	_, err := Upload(withTimeout(t), open(t, server, Options{}), release("1.0.0", module(t, "headers", 'a', 10)))
	wantError(t, err, "read http://127.0.0.1:", "403 Forbidden")
	if puts.Load() > 0 {
		t.Errorf("%d requests changed something", puts.Load())
	}
}

// publicServer serves an embedded storage's folder with a fault.
func publicServer(t *testing.T, dir string, fault func(http.Handler) http.Handler) string {
	t.Helper()
	store, err := httpstore.Serve(httpstore.ServeOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(fault(store))
	t.Cleanup(func() {
		server.Close()
		_ = store.Close()
	})
	return server.URL
}

// answering answers with a status if the path ends with suffix.
func answering(status int, suffix string) func(http.Handler) http.Handler {
	return func(store http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, suffix) {
				http.Error(w, "no", status)
				return
			}
			store.ServeHTTP(w, r)
		})
	}
}

// compressing sends modules with gzip even if the client did not ask for it.
func compressing(store http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		store.ServeHTTP(answer, r)
		if strings.HasSuffix(r.URL.Path, ".wasm") {
			w.Header().Set("Content-Encoding", "gzip")
			compressor := gzip.NewWriter(w)
			_, _ = io.Copy(compressor, answer.Body)
			_ = compressor.Close()
			return
		}
		_, _ = io.Copy(w, answer.Body)
	})
}

// replacing serves other content if the path ends with suffix.
func replacing(suffix, content string) func(http.Handler) http.Handler {
	return func(store http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, suffix) {
				_, _ = io.WriteString(w, content)
				return
			}
			store.ServeHTTP(w, r)
		})
	}
}

// endless sends modules that never end.
func endless(store http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".wasm") {
			store.ServeHTTP(w, r)
			return
		}
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
}

func TestFaultyPublicURL(t *testing.T) {
	t.Parallel()
	other := strings.Repeat("c", 64)
	const asReaders = "without credentials, as readers do: "
	for _, c := range []struct {
		name  string
		fault func(http.Handler) http.Handler
		want  []string
		is    error
	}{
		{"private", answering(http.StatusForbidden, ""), []string{asReaders, `403 Forbidden: no; proxies send no credentials: let everybody read the objects (S3: a bucket policy that allows s3:GetObject to "*"; Google: `}, ErrPrivate},
		{"private for strangers", answering(http.StatusUnauthorized, ".wasm"), []string{"headers.wasm " + asReaders, "401 Unauthorized: no; proxies send no credentials"}, nil},
		{"another folder", answering(http.StatusNotFound, ""), []string{asReaders, "(404); the public address does not serve what is in the storage, file://"}, ErrNotFound},
		{"module missing", answering(http.StatusNotFound, ".wasm"), []string{"headers.wasm " + asReaders, "(404)"}, ErrNotFound},
		{"index missing", answering(http.StatusNotFound, "index.json"), []string{"index.json " + asReaders, "(404)"}, ErrNotFound},
		{"compressed", compressing, []string{"headers.wasm: it is served with Content-Encoding gzip, and proxies hash the body as it arrives; turn compression off for .wasm"}, nil},
		{"other bytes", replacing(".wasm", "other"), []string{"headers.wasm: it serves other bytes: wasm sha256 d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa (5 bytes read), and should be ", "; the public address does not serve what is in the storage, file://"}, ErrElsewhere},
		{"endless", endless, []string{"headers.wasm: it serves other bytes: ", "(1001 bytes read)"}, nil},
		{"other sum", replacing(".sha256", other+"  headers.wasm\n"), []string{"headers.wasm.sha256: it has the wasm sha256 " + other + ", and should have "}, nil},
		{"an error page for the sum", replacing(".sha256", "<html>"), []string{"headers.wasm.sha256 " + asReaders, `"<html>" is no line of sha256sum`}, nil},
		{"other SHA256SUMS", replacing("SHA256SUMS", other+"  headers/1.0.0/headers.wasm\n"), []string{"1.0.0/SHA256SUMS: it has the wasm sha256 " + other}, nil},
		{"short SHA256SUMS", replacing("SHA256SUMS", other+"  waf/1.0.0/waf.wasm\n"), []string{"1.0.0/SHA256SUMS: it does not name headers: "}, ErrNotFound},
		{"old index", replacing("index.json", `{"indexVersion":1,"name":"headers","versions":[]}`), []string{"headers/index.json " + asReaders, "it does not list version 1.0.0"}, ErrNotFound},
		{"other index", replacing("index.json", `{"indexVersion":1,"name":"headers","versions":[{"version":"1.0.0","path":"1.0.0/headers.wasm","size":100,"wasmSha256":"`+other+`"}]}`), []string{"headers/index.json: it has the wasm sha256 " + other}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			public := publicServer(t, dir, c.fault)
			s, err := Open(Options{URL: "file://" + dir, PublicURL: public, Retry: fast})
			if err != nil {
				t.Fatal(err)
			}
			headers := module(t, "headers", 'a', 1000)
			_, err = Upload(withTimeout(t), s, release("1.0.0", headers))
			wantError(t, err, c.want...)
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("it is not %v", c.is)
			}
			// Later readers find the same fault.
			readers, err := OpenPublic(public, Options{Retry: fast})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Verify(withTimeout(t), readers, VerifyOptions{Version: version.MustParse("1.0.0"), Filters: []string{"headers"}}); err == nil {
				t.Error("Verify finds no fault")
			}
		})
	}
}

// Redirects are followed, as Istio does, and reported, because plain Envoy does not follow
// them.
func TestRedirectIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	direct := publicServer(t, dir, func(store http.Handler) http.Handler { return store })
	public := publicServer(t, dir, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, direct+r.URL.Path+"?X-Amz-Signature="+secret, http.StatusFound)
		})
	})
	var out strings.Builder
	s, err := Open(Options{URL: "file://" + dir, PublicURL: public, Retry: fast, Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	mustUpload(t, s, release("1.0.0", module(t, "headers", 'a', 1000)))
	want := direct + "/headers/1.0.0/headers.wasm"
	if log := out.String(); !strings.Contains(log, "/headers.wasm: it redirects to "+want+": ") || !strings.Contains(log, "plain Envoy does not") || strings.Contains(log, secret) {
		t.Errorf("the upload says\n%s", log)
	}
	for address, want := range map[string]string{public: want, direct: ""} {
		readers, err := OpenPublic(address, Options{Retry: fast})
		if err != nil {
			t.Fatal(err)
		}
		objects, err := Verify(t.Context(), readers, VerifyOptions{Version: version.MustParse("1.0.0")})
		if err != nil || objects[0].Redirect != want {
			t.Errorf("%s: %+v, %v; want the redirect %q", address, objects, err, want)
		}
	}
}

// If a cache still has the old state, it is asked again.
func TestPublicURLCatchesUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var stale atomic.Int64
	public := publicServer(t, dir, func(store http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if stale.Add(1) <= 2 {
				http.NotFound(w, r)
				return
			}
			store.ServeHTTP(w, r)
		})
	})
	s, err := Open(Options{URL: "file://" + dir, PublicURL: public, Retry: fast})
	if err != nil {
		t.Fatal(err)
	}
	mustUpload(t, s, release("1.0.0", module(t, "headers", 'a', 1000)))
	if stale.Load() <= 2 {
		t.Error("the public address was not used")
	}
}

// Readers send no credentials, wherever the storage and its public address are.
func TestReadersSendNoCredentials(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Authorization", "Cookie"} {
			if got := r.Header.Get(name); got != "" {
				t.Errorf("%s: %s", name, got)
			}
		}
	}))
	t.Cleanup(server.Close)
	for _, opts := range []Options{{Token: secret}, {Username: "u", Password: secret}} {
		s := open(t, server, opts)
		_ = s.fetch(t.Context(), "k", false, func(*http.Response) error { return nil })
		readers, err := OpenPublic(server.URL, opts)
		if err != nil {
			t.Fatal(err)
		}
		_ = readers.fetch(t.Context(), "k", false, func(*http.Response) error { return nil })
	}
}
