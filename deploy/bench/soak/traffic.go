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

// traffic sends every kind of requests until ctx ends, and counts them. All have the header.
// An answer with another status than the first one of its kind is an error, and so is one of a
// server's.
func traffic(ctx context.Context, group *errgroup.Group, url string, header http.Header) (map[string]*atomic.Int64, error) {
	large := header.Clone()
	for i := range 40 {
		large.Set(fmt.Sprintf("x-large-%d", i), strings.Repeat("a€\"", 200)) // 40 KB; Envoy takes 60 KiB
	}
	small := header.Clone()
	small["Authorization"], small["X-B"] = []string{"Bearer secret"}, []string{"1", "2"}
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	kinds := map[string]func() (int, error){
		"small":         func() (int, error) { return get(ctx, url+"/get", small) },
		"large headers": func() (int, error) { return get(ctx, url+"/status/200", large) },
		"bodies":        func() (int, error) { return post(ctx, url+"/anything", header, bytes.NewReader(body)) },
		"large answers": func() (int, error) { return get(ctx, url+"/bytes/100000", header) },
		"aborted requests": func() (int, error) {
			return aborted(ctx, func(ctx context.Context, abort func()) (int, error) {
				return post(ctx, url+"/anything", header, &abortingReader{rest: 10, abort: abort})
			})
		},
		"aborted answers": func() (int, error) {
			return aborted(ctx, func(ctx context.Context, abort func()) (int, error) {
				// The answer has begun when get begins to read it.
				timer := time.AfterFunc(20*time.Millisecond, abort)
				defer timer.Stop()
				return get(ctx, url+"/drip?duration=5s&numbytes=1000&delay=0s", small)
			})
		},
	}
	counts := map[string]*atomic.Int64{}
	for kind, send := range kinds {
		first, err := send()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		count := &atomic.Int64{}
		counts[kind] = count
		for range clients {
			group.Go(func() error {
				return every(ctx, pause, func() error {
					status, err := send()
					if err == nil && status != first && status != 0 && first != 0 {
						err = fmt.Errorf("status %d, and at first %d", status, first)
					}
					if err != nil {
						return fmt.Errorf("%s: %w", kind, err)
					}
					count.Add(1)
					return nil
				})
			})
		}
	}
	return counts, nil
}

// aborted runs a request that is meant to end by abort. Then it has no status.
func aborted(ctx context.Context, send func(ctx context.Context, abort func()) (int, error)) (int, error) {
	inner, abort := context.WithCancel(ctx)
	defer abort()
	status, err := send(inner, abort)
	if err != nil && inner.Err() == nil {
		return 0, err
	}
	if err != nil {
		return 0, nil
	}
	return status, nil
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

func get(ctx context.Context, url string, header http.Header) (int, error) {
	return ask(ctx, http.MethodGet, url, header, http.NoBody)
}

func post(ctx context.Context, url string, header http.Header, body io.Reader) (int, error) {
	return ask(ctx, http.MethodPost, url, header, body)
}

// ask reads the answer to its end and returns its status.
func ask(ctx context.Context, method, url string, header http.Header, body io.Reader) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, err
	}
	req.Header = header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if res.StatusCode >= http.StatusInternalServerError {
		return 0, fmt.Errorf("%s %s: %s: %.200s", req.Method, req.URL.Path, res.Status, text)
	}
	return res.StatusCode, nil
}
