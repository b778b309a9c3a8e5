package retry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

var busy = &StatusError{Method: "PUT", URL: "https://r.example/v2/", StatusCode: 429}

func TestDo(t *testing.T) {
	t.Parallel()
	final := errors.New("final")
	broken := &ConnectionError{Err: net.ErrClosed}
	later := &StatusError{StatusCode: 429, RetryAfter: 4 * time.Minute}
	for name, c := range map[string]struct {
		policy   Policy
		deadline time.Duration
		failures []error // then success
		calls    int
		wantErr  error
		atLeast  time.Duration
		atMost   time.Duration
	}{
		"success":                 {calls: 1},
		"final":                   {failures: []error{final}, calls: 1, wantErr: final},
		"broken, then fine":       {failures: []error{broken, broken}, calls: 3, atLeast: 1500 * time.Millisecond, atMost: 4500 * time.Millisecond},
		"always broken":           {failures: repeat(broken, 9), calls: 6, wantErr: broken, atMost: time.Minute},
		"two tries":               {policy: Policy{Tries: 2}, failures: repeat(broken, 9), calls: 2, wantErr: broken},
		"Retry-After of minutes":  {failures: repeat(later, 9), calls: 10, atLeast: 36 * time.Minute, atMost: 36 * time.Minute},
		"beyond the deadline":     {deadline: 3 * time.Minute, failures: []error{later}, calls: 1, wantErr: later, atMost: time.Second},
		"within the deadline":     {deadline: 5 * time.Minute, failures: []error{later}, calls: 2, atLeast: 4 * time.Minute, atMost: 4 * time.Minute},
		"deadline between busies": {deadline: 9 * time.Minute, failures: repeat(later, 9), calls: 3, wantErr: later, atLeast: 8 * time.Minute, atMost: 8 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				start, calls := time.Now(), 0
				err := c.policy.Do(ctx, func() error {
					calls++
					if calls <= len(c.failures) {
						return c.failures[calls-1]
					}
					return nil
				})
				if !errors.Is(err, c.wantErr) || calls != c.calls {
					t.Errorf("%d calls and error %v, want %d and %v", calls, err, c.calls, c.wantErr)
				}
				if took := time.Since(start); took < c.atLeast || (c.atMost > 0 && took > c.atMost) {
					t.Errorf("took %v, want %v to %v", took, c.atLeast, c.atMost)
				}
				if c.deadline > 0 && c.wantErr != nil && !errors.As(err, new(*DeadlineError)) {
					t.Errorf("error %v is no DeadlineError", err)
				}
			})
		})
	}
}

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

func TestDoStopsWhenCanceled(t *testing.T) {
	t.Parallel()
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := Policy{Notify: func(error, time.Duration) { cancel(cause) }}.Do(ctx, func() error { return busy })
	if !errors.Is(err, cause) || !errors.Is(err, busy) {
		t.Fatalf("error %v, want the cause and the last failure", err)
	}
}

func TestRetryable(t *testing.T) {
	t.Parallel()
	connection := func(err error) error { return fmt.Errorf("push: %w", &ConnectionError{Err: err}) }
	for _, c := range []struct {
		err  error
		want bool
	}{
		{fmt.Errorf("push: %w", busy), true},
		{connection(io.EOF), true},
		{connection(ErrStalled), true},
		{connection(&net.OpError{Op: "dial", Err: errors.New("connection refused")}), true},
		{connection(&net.DNSError{IsTemporary: true}), true},
		{connection(&net.DNSError{IsNotFound: true}), false},
		{connection(errors.New("http: server gave HTTP response to HTTPS client")), false},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), true},
		{fmt.Errorf("fetch: %w", Again(errors.New("the cache has the old index"))), true},
		{errors.New("401"), false},
	} {
		if got := Retryable(c.err); got != c.want {
			t.Errorf("Retryable(%v) = %t", c.err, got)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"120":                           2 * time.Minute,
		"-3":                            0,
		"soon":                          0,
		"99999999999999999999":          0,
		"Fri, 02 Jan 2026 03:09:05 GMT": 5 * time.Minute,
		"Fri, 02 Jan 2026 03:00:00 GMT": 0,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("parseRetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestTransportStatus(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/busy":
			w.Header().Set("Retry-After", "300")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, "slow\ndown\x1b[31m\u202e")
		case "/secret":
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &Transport{}}

	resp, err := client.Get(server.URL + "/busy?signature=s3cret")
	if err == nil {
		_ = resp.Body.Close()
	}
	status := new(StatusError)
	if !errors.As(err, &status) || status.StatusCode != http.StatusTooManyRequests || status.RetryAfter != 5*time.Minute || status.Message != "slow down [31m" {
		t.Fatalf("error %#v", err)
	}
	if strings.Contains(status.Error(), "s3cret") {
		t.Errorf("%q holds the query", status)
	}
	resp, err = client.Get(server.URL + "/secret")
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Fatalf("403: response %v, error %v; want it handed on", resp, err)
	}
	_ = resp.Body.Close()
}

// TestTransportStalls lets a server stand still in each phase of a request.
func TestTransportStalls(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"before the answer": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"in the answer": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "so far")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		// A byte a millisecond: never enough in the stall time of this test.
		"trickling": func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for r.Context().Err() == nil {
				fmt.Fprint(w, ".")
				_ = http.NewResponseController(w).Flush()
				<-tick.C
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			client := &http.Client{Transport: &Transport{Stall: 100 * time.Millisecond}}
			resp, err := client.Post(server.URL, "", strings.NewReader(strings.Repeat("x", 4096)))
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			if !errors.Is(err, ErrStalled) || !Retryable(err) {
				t.Fatalf("error %v, want ErrStalled", err)
			}
		})
	}
}

func TestTransportLetsSlowReadersBe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := &Transport{Stall: time.Second, Base: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("hello"))}, nil
		})}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://r.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		timer := time.NewTimer(time.Hour) // the reader is busy elsewhere; synctest's clock jumps
		<-timer.C
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hello" {
			t.Fatalf("body %q, error %v", body, err)
		}
		_ = resp.Body.Close()
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTransportReset ends connections in the middle, as a crashing proxy does.
func TestTransportReset(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) < 3 {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "half of it")
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, "all of it")
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &Transport{}}
	var body []byte
	err := Policy{Delay: time.Nanosecond}.Do(t.Context(), func() error {
		resp, err := client.Get(server.URL)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err = io.ReadAll(resp.Body)
		return err
	})
	if err != nil || string(body) != "all of it" {
		t.Fatalf("body %q, error %v after %d requests", body, err, requests.Load())
	}
}

// TestTransportBodyFails sends a body that cannot be read to its end: another try would not
// help.
func TestTransportBodyFails(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(server.Close)
	broken := errors.New("disk on fire")
	body := io.MultiReader(strings.NewReader("so far"), iotest.ErrReader(broken))
	resp, err := (&http.Client{Transport: &Transport{}}).Post(server.URL, "", body)
	if err == nil {
		_ = resp.Body.Close()
	}
	if !errors.Is(err, broken) || Retryable(err) {
		t.Fatalf("error %v, want the body's, and final", err)
	}
}
