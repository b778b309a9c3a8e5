package stores

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// moment is when killer strikes, within one request.
type moment int

const (
	never moment = iota
	beforeSent
	inBody
	beforeAnswered
	held
)

func (m moment) String() string {
	return [...]string{"never", "before it is sent", "in the middle of its body", "before it is answered", "while it is held"}[m]
}

// killer is a proxy. At one of the requests that change something, it kills the upload,
// or holds the request while something else happens.
type killer struct {
	locks    int // that the client holds
	upstream *httputil.ReverseProxy

	mu       sync.Mutex
	writes   int
	at       int
	moment   moment
	kill     func()
	requests []string
}

func newKiller(t *testing.T, s store) (*killer, store) {
	upstream := &url.URL{Scheme: "http", Host: s.upstream}
	k := &killer{upstream: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			if !s.ownHost { // signatures cover the host that the client used
				r.Out.Host = r.In.Host
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}}
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	return k, s.through(server.Listener.Addr().String())
}

// underLock ends the text of a request that is made under a WebDAV lock.
const underLock = " under a lock"

// arm says where to strike next.
func (k *killer) arm(at int, moment moment, kill func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writes, k.at, k.moment, k.kill, k.requests = 0, at, moment, kill, nil
	k.locks = 0
}

func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	strike := never
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		k.writes++
		request := r.Method + " " + r.URL.Path
		if r.Header.Get("If") != "" || k.locks > 0 {
			request += underLock
		}
		switch {
		case r.Method == "LOCK" && r.Header.Get("If") == "":
			k.locks++
		case r.Method == "UNLOCK":
			k.locks--
		}
		k.requests = append(k.requests, request)
		if k.writes == k.at {
			strike = k.moment
		}
	}
	kill := k.kill
	k.mu.Unlock()
	switch strike {
	case beforeSent:
		kill()
		panic(http.ErrAbortHandler)
	case held:
		kill()
	case inBody:
		r.Body = &cutBody{ReadCloser: r.Body, left: max(r.ContentLength/2, 1), cut: kill}
	case beforeAnswered:
		k.upstream.ServeHTTP(&unanswered{ResponseWriter: w}, r)
		kill()
		panic(http.ErrAbortHandler)
	}
	k.upstream.ServeHTTP(w, r)
}

// cutBody is a body that breaks off in the middle.
type cutBody struct {
	io.ReadCloser
	left int64
	cut  func()
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.cut()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// unanswered keeps an answer from the client.
type unanswered struct{ http.ResponseWriter }

func (unanswered) WriteHeader(int)             {}
func (unanswered) Write(p []byte) (int, error) { return len(p), nil }

// TestKilled kills an upload with SIGKILL at every request that changes something, and
// runs it again. Then the upload is complete and correct. At no time does a checksum
// stand beside a missing or wrong module.
func TestKilled(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store) {
		if s.upstream == "" {
			return // the folder's test is in deploy/storage: it kills between system calls
		}
		k, proxied := newKiller(t, s)
		k.arm(0, never, nil)
		proxied.mustUpload(t, release("1.0.0", module(t, "headers", 100_000, 0)))
		k.arm(0, never, nil)
		proxied.mustUpload(t, release("1.0.1", module(t, "headers", 100_000, 1)))
		writes, requests := k.writes, k.requests
		t.Logf("an upload makes %d requests that change something: %q", writes, requests)
		killed := 0
		for at := 1; at <= writes; at++ {
			for _, moment := range []moment{beforeSent, inBody, beforeAnswered} {
				if moment == inBody && !strings.HasPrefix(requests[at-1], "P") {
					continue // it has no body; PUT and POST have one
				}
				if s.slowLocks && (!strings.HasPrefix(requests[at-1], "MOVE") || moment != beforeSent || killed > 0) {
					continue // waiting for the lock once is enough
				}
				version := fmt.Sprintf("2.%d.%d", at, moment)
				upload := release(version, module(t, "headers", 100_000, uint64(10*at)+uint64(moment)))
				stop := s.watch(t, "headers", version)

				dead := make(chan struct{})
				var once sync.Once
				started := make(chan *process, 1)
				k.arm(at, moment, func() {
					once.Do(func() {
						p := <-started
						close(dead)
						p.kill()
					})
				})
				p := begin(t, proxied.options, proxied.environment, upload)
				started <- p
				err := p.cmd.Wait()
				select {
				case <-dead:
					killed++
					if err == nil {
						t.Errorf("%s, request %d %s: it was killed and succeeded", version, at, moment)
					}
				default: // that request has no body
					if err != nil {
						t.Errorf("%s, request %d %s: %v\n%s", version, at, moment, err, p.output.String())
					}
				}
				k.arm(0, never, nil)
				begun := time.Now()
				if _, err := s.upload(t, upload); err != nil {
					t.Errorf("killed at request %d %s, and run again: %v", at, moment, err)
				}
				if took := time.Since(begun); took > 10*time.Second {
					t.Logf("killed at request %d %s, the next run took %s", at, moment, took)
				}
				stop()
				s.complete(t, version, upload.Modules[0].WasmSHA256)
			}
		}
		least := 2 * writes
		if s.slowLocks {
			least = 1
		}
		if killed < least {
			t.Errorf("it was killed %d times, and should have been %d times or more", killed, least)
		}
	})
}

// complete asserts that a version of the filter headers is there as a whole.
func (s store) complete(t *testing.T, version, sum string) {
	t.Helper()
	module := "headers/" + version + "/headers.wasm"
	dir := s.download(t, module, module+".sha256", version+"/SHA256SUMS")
	sha256sum(t, dir+"/headers/"+version, "headers.wasm.sha256")
	sha256sum(t, dir, version+"/SHA256SUMS")
	if entry := s.index(t, "headers").Find(version); entry == nil || entry.WasmSHA256 != sum {
		t.Errorf("index.json: %+v, want %s", entry, sum)
	}
}

// TestConnectionCut breaks the connection once in the middle of the module: the
// upload goes on by itself.
func TestConnectionCut(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store) {
		if s.upstream == "" {
			return // no connection is between an upload and its folder
		}
		k, proxied := newKiller(t, s)
		k.arm(0, never, nil)
		proxied.mustUpload(t, release("1.0.0", module(t, "headers", 100_000, 0)))
		k.arm(0, never, nil)
		proxied.mustUpload(t, release("1.0.1", module(t, "headers", 100_000, 1)))
		first := 1 + slices.IndexFunc(k.requests, func(r string) bool {
			return strings.HasPrefix(r, "P") && !strings.Contains(r, "probe") // PUT, or Google's POST
		})
		cuts := 0
		k.arm(first, inBody, func() { cuts++ })
		upload := release("1.0.2", module(t, "headers", 100_000, 2))
		proxied.mustUpload(t, upload)
		if cuts != 1 {
			t.Errorf("the connection was cut %d times", cuts)
		}
		s.complete(t, "1.0.2", upload.Modules[0].WasmSHA256)
	})
}
