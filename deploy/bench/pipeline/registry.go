package pipeline

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"github.com/slipway-wasm/slipway/deploy/embedded/registry"
)

// requests counts the requests to a registry.
type requests struct {
	reads  int // GET and HEAD
	writes int // all others
	blobs  int // the writes that uploaded a blob
}

// counting is a registry that counts its requests.
type counting struct {
	registry *registry.Registry
	server   *http.Server
	addr     string

	mu   sync.Mutex
	seen requests
}

func startRegistry(ctx context.Context, dir string) (*counting, error) {
	inner, err := registry.Start(ctx, registry.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	c := &counting{registry: inner, addr: listener.Addr().String()}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: inner.Addr()})
	proxy.ModifyResponse = func(r *http.Response) error {
		c.count(r.Request, r.StatusCode)
		return nil
	}
	c.server = &http.Server{Handler: proxy}
	go c.server.Serve(listener) //nolint:errcheck // ends with close
	return c, nil
}

func (c *counting) count(r *http.Request, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		c.seen.reads++
		return
	}
	c.seen.writes++
	// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints,
	// end-4 to end-6. A mount of a blob has the same answer, but uploads nothing.
	if status == http.StatusCreated && strings.Contains(r.URL.Path, "/blobs/uploads/") && r.URL.Query().Get("mount") == "" {
		c.seen.blobs++
	}
}

// take returns what was seen since the last call.
func (c *counting) take() requests {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = requests{}
	return seen
}

func (c *counting) close() error {
	return errors.Join(c.server.Close(), c.registry.Close())
}
