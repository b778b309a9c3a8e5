package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/version"
)

// shelf is a server that takes PUT and keeps everything in memory. A fault is before it.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
	puts    []string
}

func newShelf() *shelf { return &shelf{objects: map[string][]byte{}} }

func (s *shelf) has(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.objects[path]
	return ok
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		data, ok := s.objects[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	case http.MethodPut:
		data, _ := io.ReadAll(r.Body)
		s.objects[r.URL.Path] = data
		s.puts = append(s.puts, r.URL.Path)
		w.WriteHeader(http.StatusCreated)
	case "MOVE":
		to := r.Header.Get("Destination")
		to = "/" + strings.SplitN(strings.TrimPrefix(to, "http://"), "/", 2)[1]
		s.objects[to] = s.objects[r.URL.Path]
		delete(s.objects, r.URL.Path)
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// deployingOnce refuses to overwrite, as Nexus and Artifactory can be told to, except where
// may says so.
func deployingOnce(may func(path string) bool) func(*shelf) http.Handler {
	return func(s *shelf) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && s.has(r.URL.Path) && !may(r.URL.Path) {
				http.Error(w, "Repository does not allow updating assets", http.StatusBadRequest)
				return
			}
			s.ServeHTTP(w, r)
		})
	}
}

// redirectingReads serves nothing itself, as Artifactory with a bucket behind it.
func redirectingReads(t *testing.T) func(*shelf) http.Handler {
	return func(s *shelf) http.Handler {
		bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Error("the bucket gets the credentials of the server")
			}
			w.Header().Set("ETag", `"of-the-bucket"`)
			s.ServeHTTP(w, r)
		}))
		t.Cleanup(bucket.Close)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				http.Redirect(w, r, bucket.URL+r.URL.Path+"?X-Amz-Signature="+secret, http.StatusFound)
				return
			}
			s.ServeHTTP(w, r)
		})
	}
}

// refusingInHTML says in a page for people, below a style sheet, why it takes nothing.
func refusingInHTML(s *shelf) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			s.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<html><head><style>%s</style></head><body><h1>The quota is used up</h1></body></html>", strings.Repeat("p {} ", 500))
	})
}

// loggingIn answers everything with a page on which people log in.
func loggingIn(*shelf) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!DOCTYPE html><title>Sign in</title>")
	})
}

// lockingBriefly has locks of a second, and moves a module only after a lock was prolonged so
// often that it would have ended, or never.
func lockingBriefly(prolongs bool) func(*shelf) http.Handler {
	return func(s *shelf) http.Handler {
		prolonged := make(chan struct{}, 100)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case "LOCK":
				if r.Header.Get("If") != "" && !prolongs {
					w.WriteHeader(http.StatusPreconditionFailed)
					return
				}
				if r.Header.Get("If") != "" {
					prolonged <- struct{}{}
				}
				w.Header().Set("Lock-Token", "<opaquelocktoken:1>")
				fmt.Fprint(w, "<timeout>Second-1</timeout>")
			case "UNLOCK":
				w.WriteHeader(http.StatusNoContent)
			case "MOVE":
				for range 6 {
					if !strings.HasSuffix(r.Header.Get("Destination"), ".wasm") {
						break
					}
					select {
					case <-prolonged:
					case <-r.Context().Done():
						return
					}
				}
				s.ServeHTTP(w, r)
			default:
				s.ServeHTTP(w, r)
			}
		})
	}
}

// TestServersAsTheyAre uploads two versions to servers, each with its own way. Each row is named
// after what the server does.
func TestServersAsTheyAre(t *testing.T) {
	t.Parallel()
	nothing := func(string) bool { return false }
	for name, c := range map[string]struct {
		fault func(*shelf) http.Handler
		opts  Options
		err   []string // none: everything works
		is    error
	}{
		"refuses overwriting":                      {fault: deployingOnce(nothing), err: []string{"the server refuses to overwrite (PUT http://127.0.0.1:", "400 Bad Request: Repository does not allow updating assets), and index.json and SHA256SUMS grow with each release: let it overwrite the paths **/index.json and **/SHA256SUMS below http://127.0.0.1:"}, is: ErrFixedLists},
		"refuses overwriting, and wants no lists":  {fault: deployingOnce(nothing), opts: Options{NoLists: true}},
		"refuses overwriting of all but the lists": {fault: deployingOnce(func(key string) bool { return path.Base(key) == "index.json" || path.Base(key) == "SHA256SUMS" })},
		"redirects reads":                          {fault: redirectingReads(t), opts: Options{Username: "user", Password: secret}},
		"refuses in HTML":                          {fault: refusingInHTML, err: []string{"403 Forbidden: The quota is used up; these credentials"}},
		"answers with a login page":                {fault: loggingIn, err: []string{`200 OK with text/html, a page with the title "Sign in" and no answer to a program`}},
		"moves slowly, and prolongs its locks":     {fault: lockingBriefly(true)},
		"moves slowly, and prolongs no lock":       {fault: lockingBriefly(false), err: []string{"the server's lock ends too early, and the server does not prolong it"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := newShelf()
			server := httptest.NewServer(c.fault(objects))
			t.Cleanup(server.Close)
			s := open(t, server, c.opts)
			upload := func(text string) error {
				_, err := Upload(withTimeout(t), s, release(text, module(t, "headers", text[len(text)-1], 1000)))
				return err
			}
			err := errors.Join(upload("1.0.0"), upload("1.0.1"))
			if len(c.err) > 0 {
				wantError(t, err, c.err...)
				if c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("it is not %v", c.is)
				}
				if strings.Contains(err.Error(), "somebody else") {
					t.Errorf("it blames somebody else: %v", err)
				}
				for _, put := range objects.puts {
					if strings.HasSuffix(put, "/headers.wasm") {
						t.Errorf("%s was stored before", put)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"1.0.0", "1.0.1"} {
				found, err := Verify(t.Context(), s, VerifyOptions{Version: version.MustParse(text), Filters: []string{"headers"}})
				if err != nil || len(found) != 1 {
					t.Errorf("%s: %+v, %v", text, found, err)
				}
				if lists := objects.has("/filters/headers/index.json"); lists == c.opts.NoLists {
					t.Errorf("there are lists: %v", lists)
				}
			}
		})
	}
}

// TestPrepareStorage: what would end an upload is found before anything is built.
func TestPrepareStorage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault func(*shelf) http.Handler
		err   string
	}{
		"well":                {fault: func(s *shelf) http.Handler { return s }},
		"refuses overwriting": {fault: deployingOnce(func(string) bool { return false }), err: "index.json and SHA256SUMS grow with each release"},
		"refuses everything":  {fault: func(*shelf) http.Handler { return refusing(http.StatusForbidden) }, err: "cannot be written: try out the server: PUT "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := newShelf()
			server := httptest.NewServer(c.fault(objects))
			t.Cleanup(server.Close)
			err := Prepare(withTimeout(t), open(t, server, Options{}), []string{"headers"}, version.MustParse("1.0.0"))
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			for _, put := range objects.puts {
				if !strings.HasPrefix(put, "/filters/"+tempPrefix) {
					t.Errorf("%s was written", put)
				}
			}
		})
	}
	t.Run("a folder that cannot be written", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Options{URL: "file://" + file + "/below"})
		if err != nil {
			t.Fatal(err)
		}
		if err := Prepare(t.Context(), s, []string{"headers"}, version.MustParse("1.0.0")); err == nil || !strings.Contains(err.Error(), "file://"+file+"/below cannot be written: ") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a folder", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "new")
		s, err := Open(Options{URL: "file://" + dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := Prepare(t.Context(), s, []string{"headers"}, version.MustParse("1.0.0")); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("it left %v, %v", left, err)
		}
	})
}

// TestFolderIsReadBack: a folder needs no public address to prove what is in it.
func TestFolderIsReadBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(Options{URL: "file://" + dir, Retry: fast})
	if err != nil {
		t.Fatal(err)
	}
	objects := mustUpload(t, s, release("1.0.0", module(t, "headers", 'a', 1000)))
	if want := "file://" + dir + "/headers/1.0.0/headers.wasm"; objects[0].URL != want {
		t.Errorf("it is at %s, want %s", objects[0].URL, want)
	}
	if _, err := Verify(t.Context(), s, VerifyOptions{Version: version.MustParse("1.0.0")}); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "headers", "1.0.0", "headers.wasm"), bytes.Repeat([]byte("b"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(t.Context(), s, VerifyOptions{Version: version.MustParse("1.0.0")}); err == nil || !strings.Contains(err.Error(), "it serves other bytes") {
		t.Errorf("a changed module: %v", err)
	}
}
