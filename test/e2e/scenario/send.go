package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
)

// request is what is sent.
type request struct {
	method string // empty means GET
	path   string
	header http.Header
	body   string
}

// response is what the client sees.
type response struct {
	status int
	header http.Header
	body   []byte
}

// send sends one request on a connection of its own, so that the proxy's workers
// take turns.
func (e *Env) send(ctx context.Context, r request) (*response, error) {
	method := r.method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, e.URL+r.path, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, values := range r.header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the body: %w", method, r.path, err)
	}
	return &response{status: res.StatusCode, header: res.Header, body: body}, nil
}

// sendOK is send for requests that must be answered with 200.
func (e *Env) sendOK(ctx context.Context, r request) (*response, error) {
	res, err := e.send(ctx, r)
	if err != nil {
		return nil, err
	}
	if res.status != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d, want 200: %s", r.path, res.status, res.body)
	}
	return res, nil
}

// upstream sends a request to httpbin's /headers and returns the headers that
// httpbin saw, with the response.
func (e *Env) upstream(ctx context.Context, header http.Header) (http.Header, *response, error) {
	res, err := e.sendOK(ctx, request{path: "/headers", header: header})
	if err != nil {
		return nil, nil, err
	}
	var seen struct{ Headers http.Header }
	if err := json.Unmarshal(res.body, &seen); err != nil {
		return nil, nil, fmt.Errorf("read what httpbin saw: %w: %s", err, res.body)
	}
	return seen.Headers, res, nil
}

// sameValues compares all values of a header. No want means that the header must
// be absent.
func sameValues(who string, h http.Header, name string, want ...string) error {
	if got := h.Values(name); !slices.Equal(got, want) {
		return fmt.Errorf("%s saw %s: %q, want %q", who, name, got, want)
	}
	return nil
}

const (
	client       = "the client"
	upstreamSide = "the upstream"
)

// counterIs waits until a filter's counter has a value, both in /stats and for
// Prometheus.
func (e *Env) counterIs(ctx context.Context, name string, want uint64) error {
	return envoytest.Until(ctx, func() error {
		got, err := e.counter(ctx, name)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("wasmcustom.%s is %d, want %d", name, got, want)
		}
		prometheus, err := e.Proxy.Prometheus(ctx)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s{} %d\n", name, want)
		if !strings.Contains("\n"+prometheus, "\n"+line) {
			return fmt.Errorf("the Prometheus page lacks the line %q; it has %q", line, linesWith(prometheus, name))
		}
		return nil
	})
}

// counter returns a filter's counter; 0 if it has never been counted up.
func (e *Env) counter(ctx context.Context, name string) (uint64, error) {
	stats, err := e.Proxy.Stats(ctx)
	return stats["wasmcustom."+name], err
}

func linesWith(text, part string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// waitLog returns the first log line after mark that holds every one of parts.
func (e *Env) waitLog(ctx context.Context, mark int, parts ...string) (string, error) {
	line, err := e.Log.Wait(ctx, mark, func(line string) bool { return hasAll(line, parts...) })
	if err != nil {
		return "", fmt.Errorf("wait for a log line with %q: %w", parts, err)
	}
	return line, nil
}

func hasAll(line string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(line, part) {
			return false
		}
	}
	return true
}
