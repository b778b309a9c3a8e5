package targets

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/oci/distributiontest"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// requestLog records the requests that pass through it.
type requestLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *requestLog) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.lines = append(l.lines, r.Method+" "+r.URL.RequestURI())
		l.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// take returns the requests since the last call.
func (l *requestLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// TestReleaseRequests pins the number of requests that a release of one filter sends to
// the registry. The release is signed, has all attachments, and is read back from the
// outside. The distribution registry takes no blob in one request and has no API for
// referrers: each of eight blobs takes two, besides one look and one refusal, and the index
// of referrers is read, written once and read again.
func TestReleaseRequests(t *testing.T) {
	keys, err := filepath.Abs("testdata") // a key pair for tests only
	if err != nil {
		t.Fatal(err)
	}
	builder := secretProject(t)
	t.Setenv("COSIGN_PASSWORD", "test")
	small := startRegistry(t)
	for _, registry := range []struct {
		name, address          string
		atFirst, whenUnchanged int
	}{
		{"embedded", small, 30, 9},
		{"distribution", distributiontest.Start(t, distributiontest.Options{}), 44, 10},
	} {
		t.Run(registry.name, func(t *testing.T) {
			folder := t.TempDir()
			store, err := httpstore.Serve(httpstore.ServeOptions{Dir: folder})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			var log requestLog
			// The address that a client asked for is the one that a registry sends it on to.
			counting := httptest.NewServer(log.before(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(&url.URL{Scheme: "http", Host: registry.address})
				r.Out.Host = r.In.Host
			}}))
			t.Cleanup(counting.Close)
			c := variables.Values{
				Registry:         strings.TrimPrefix(counting.URL, "http://") + "/acme",
				StorageURL:       "file://" + folder,
				StoragePublicURL: strings.TrimSuffix(store.URL(""), "/"),
				SignKey:          filepath.Join(keys, "cosign.key"),
				VerifyKey:        filepath.Join(keys, "cosign.pub"),
			}
			for _, test := range []struct {
				name string
				most int
			}{{"at first", registry.atFirst}, {"nothing changed", registry.whenUnchanged}} {
				var out bytes.Buffer
				options, err := releaseOptions(c, "1.4.0", releaseChoices{Suite: gotest.Options{RefuseSkips: true}}, Output{Out: &out, Err: &out})
				if err == nil {
					options.Maker = quickMaker{build: builder}
					_, err = rel.Release(t.Context(), options)
				}
				if err != nil {
					t.Fatalf("%s: %v\n%s", test.name, err, out.String())
				}
				requests := log.take()
				if len(requests) > test.most {
					t.Errorf("%s: %d requests, and at most %d are allowed:\n%s", test.name, len(requests), test.most, strings.Join(requests, "\n"))
				}
			}
		})
	}
}
