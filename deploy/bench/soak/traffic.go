package soak

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// clients is how many of each kind of traffic there are at once.
const clients = 2

// pause keeps a kind from using the whole machine, which would only hold up the rest.
const pause = 2 * time.Millisecond

// traffic sends every kind of requests until ctx ends, and counts them. An answer
// that is not 200 is an error.
func traffic(ctx context.Context, group *errgroup.Group, url string) map[string]*atomic.Int64 {
	large := http.Header{}
	for i := range 40 {
		large.Set(fmt.Sprintf("x-large-%d", i), strings.Repeat("a€\"", 200)) // 40 KB; Envoy takes 60 KiB
	}
	hello := http.Header{"Hello": {"world"}, "Authorization": {"Bearer secret"}, "X-B": {"1", "2"}}
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	kinds := map[string]func() error{
		"small":         func() error { _, err := get(ctx, url+"/get", hello); return err },
		"large headers": func() error { _, err := get(ctx, url+"/status/200", large); return err },
		"bodies":        func() error { return post(ctx, url+"/anything", bytes.NewReader(body)) },
		"large answers": func() error { _, err := get(ctx, url+"/bytes/100000", nil); return err },
		"aborted requests": func() error {
			return aborted(ctx, func(ctx context.Context, abort func()) error {
				return post(ctx, url+"/anything", &abortingReader{rest: 10, abort: abort})
			})
		},
		"aborted answers": func() error {
			return aborted(ctx, func(ctx context.Context, abort func()) error {
				// The answer has begun when get begins to read it.
				timer := time.AfterFunc(20*time.Millisecond, abort)
				defer timer.Stop()
				_, err := get(ctx, url+"/drip?duration=5s&numbytes=1000&delay=0s", hello)
				return err
			})
		},
	}
	counts := map[string]*atomic.Int64{}
	for kind, send := range kinds {
		count := &atomic.Int64{}
		counts[kind] = count
		for range clients {
			group.Go(func() error {
				return every(ctx, pause, func() error {
					if err := send(); err != nil {
						return fmt.Errorf("%s: %w", kind, err)
					}
					count.Add(1)
					return nil
				})
			})
		}
	}
	return counts
}

// aborted runs a request that is meant to end by abort.
func aborted(ctx context.Context, send func(ctx context.Context, abort func()) error) error {
	inner, abort := context.WithCancel(ctx)
	defer abort()
	if err := send(inner, abort); err != nil && inner.Err() == nil {
		return err
	}
	return nil
}

// abortingReader is a body that has its request aborted in the middle.
type abortingReader struct {
	rest  int
	abort func()
}

func (r *abortingReader) Read(p []byte) (int, error) {
	if r.rest--; r.rest < 0 {
		r.abort()
	}
	return copy(p, "some more of the body"), nil
}

func get(ctx context.Context, url string, header http.Header) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	return do(req)
}

func post(ctx context.Context, url string, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return err
	}
	_, err = do(req)
	return err
}

// do reads the answer to its end and returns its headers.
func do(req *http.Request) (http.Header, error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %.200s", req.Method, req.URL.Path, res.Status, text)
	}
	return res.Header, nil
}
