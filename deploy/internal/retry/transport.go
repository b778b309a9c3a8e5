package retry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// Transport is an http.RoundTripper whose failures Policy.Do understands:
//
//   - 408, 429, 500, 502, 503 and 504 come back as *StatusError, with what the
//     server said about when to come back;
//   - a connection that breaks, in RoundTrip or while the body is read, as
//     *ConnectionError;
//   - a connection on which less than a kilobyte moves in Stall, in either
//     direction, is cut, with ErrStalled in the error's chain.
//
// No error holds a query string or credentials of the URL.
type Transport struct {
	// Base does the requests. Default: http.DefaultTransport.
	Base http.RoundTripper
	// Stall is how long a connection may stand still. Default: 2 minutes. Registries
	// take up to one to store a large upload before they answer, and so do servers that
	// move a file.
	Stall time.Duration
}

var _ http.RoundTripper = (*Transport)(nil)

// ErrStalled says that less than a kilobyte moved on a connection within Transport.Stall.
var ErrStalled = errors.New("the connection stalled")

// StatusError is an answer that a later try may change.
type StatusError struct {
	Method string
	// URL is the address without query and credentials.
	URL string
	// StatusCode is the HTTP status.
	StatusCode int
	// RetryAfter is how long the server asked to wait; 0 if it named no time.
	RetryAfter time.Duration
	// Message is the start of what the answer's body says, on one line.
	Message string
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s %s: %d %s", e.Method, e.URL, e.StatusCode, http.StatusText(e.StatusCode))
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf("; it asks to come back in %s", e.RetryAfter)
	}
	return text
}

// ConnectionError says that a request or a body did not get through.
type ConnectionError struct {
	Method string
	// URL is the address without query and credentials.
	URL string
	Err error
}

func (e *ConnectionError) Error() string { return fmt.Sprintf("%s %s: %v", e.Method, e.URL, e.Err) }

// Unwrap returns what happened to the connection.
func (e *ConnectionError) Unwrap() error { return e.Err }

// retried are the statuses that tell of the server's state and do not judge the request.
//
// Reference: https://www.rfc-editor.org/rfc/rfc9110#name-status-codes
var retried = map[int]bool{
	http.StatusRequestTimeout:      true,
	http.StatusTooManyRequests:     true,
	http.StatusInternalServerError: true,
	http.StatusBadGateway:          true,
	http.StatusServiceUnavailable:  true,
	http.StatusGatewayTimeout:      true,
}

// RoundTrip sends the request once.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base, stall := cmp.Or(t.Base, http.DefaultTransport), cmp.Or(t.Stall, 2*time.Minute)
	ctx, cancel := context.WithCancelCause(req.Context())
	watch := newWatch(stall, cancel)
	sent := req.Clone(ctx)
	var body *watchedBody
	if req.Body != nil && req.Body != http.NoBody {
		body = &watchedBody{ReadCloser: req.Body, moved: watch.moved}
		sent.Body = body
	}
	fail := func(err error) error {
		if body != nil {
			if own := body.err.Load(); own != nil {
				return *own // the body is at fault, not the connection
			}
		}
		if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
			err = cause
		}
		return &ConnectionError{req.Method, redact.URL(req.URL), err}
	}
	watch.start()
	resp, err := base.RoundTrip(sent)
	watch.stop()
	if err != nil {
		err = fail(err)
		cancel(nil)
		return nil, err
	}
	if retried[resp.StatusCode] {
		defer cancel(nil)
		defer func() { _ = resp.Body.Close() }()
		watch.start()
		defer watch.stop()
		return nil, statusError(req, resp)
	}
	resp.Body = &answerBody{ReadCloser: resp.Body, watch: watch, fail: fail, cancel: cancel}
	return resp, nil
}

func statusError(req *http.Request, resp *http.Response) error {
	// The server counts its date by its own clock, which may be wrong.
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return &StatusError{
		Method:     req.Method,
		URL:        redact.URL(req.URL),
		StatusCode: resp.StatusCode,
		RetryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), now),
		Message:    Reason(resp),
	}
}

// parseRetryAfter reads both forms of the header; anything else counts as absent.
//
// Reference: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(now).Round(time.Second), 0)
	}
	return 0
}

// Printable makes a stranger's text safe to print on one line of a log or a terminal. A line
// break could pretend to begin a line of ours; an escape sequence, or a mark that reverses the
// direction of the text, could hide one.
func Printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return strings.Join(strings.Fields(text), " ")
}

// watch cancels a request on which nothing moves. It pauses while the connection waits for the
// caller.
type watch struct {
	stall time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	running bool
	started time.Time
	left    time.Duration // of stall, when it was started
	bytes   int           // moved since left was last full
}

// enough bytes within one Stall show that a connection is alive. With a smaller trickle, a
// broken proxy can keep clients waiting for hours.
const enough = 1024

func newWatch(stall time.Duration, cancel context.CancelCauseFunc) *watch {
	w := &watch{stall: stall, left: stall}
	w.timer = time.AfterFunc(stall, func() {
		cancel(fmt.Errorf("%w: less than 1 KiB in %s", ErrStalled, stall))
	})
	w.timer.Stop()
	return w
}

func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.started = true, time.Now()
	w.timer.Reset(w.left)
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.running = false
	w.left -= time.Since(w.started)
}

func (w *watch) moved(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bytes += n; w.bytes < enough {
		return
	}
	w.bytes, w.left, w.started = 0, w.stall, time.Now()
	if w.running {
		w.timer.Reset(w.stall)
	}
}

// watchedBody is a request's body. The connection reads the next piece after it has sent the
// one before.
type watchedBody struct {
	io.ReadCloser
	moved func(int)
	err   atomic.Pointer[error] // of reading it
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.moved(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err.Store(&err)
	}
	return n, err
}

// answerBody is an answer's body.
type answerBody struct {
	io.ReadCloser
	watch  *watch
	fail   func(error) error
	cancel context.CancelCauseFunc
}

func (b *answerBody) Read(p []byte) (int, error) {
	b.watch.start()
	defer b.watch.stop()
	n, err := b.ReadCloser.Read(p)
	b.watch.moved(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.fail(err)
	}
	return n, err
}

func (b *answerBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
