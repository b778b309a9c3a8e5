// Package retry decides which failed transfers are tried again, when, and for how long.
//
// Registries and object stores ask clients to come back in minutes (429 with Retry-After),
// close connections in the middle of a body, or let them hang. Client libraries such as
// oras-go wait for seconds at most. They repeat single requests, which cannot repair a body
// that broke off. Below this package they would only multiply the tries, so their retries are
// not used. Slipway addresses everything by its content, so it can repeat the whole operation:
// Transport marks the failures that a later try may cure, and Policy.Do repeats an operation
// that failed with one of them, until the context's deadline.
package retry

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Policy says how often and how soon a failed operation is tried again. The zero value suits a
// registry or an object store on the internet.
type Policy struct {
	// Tries is how many times in a row an operation may fail while the server names no time to
	// come back. Default: 6, which takes half a minute with the default delays. Waits that the
	// server asked for (Retry-After) do not count: only the context's deadline limits them.
	Tries int
	// Delay is the wait after the first failure, plus or minus half of it. It doubles with
	// each further failure, up to MaxDelay. Default: 1 second.
	Delay time.Duration
	// MaxDelay is the longest wait that the server did not ask for. Default: 30
	// seconds.
	MaxDelay time.Duration
	// Notify is called before each wait. Default: nothing is called.
	Notify func(err error, wait time.Duration)
}

// DeadlineError says that the next try would come after the deadline.
type DeadlineError struct {
	// Left is the time that was left until the deadline.
	Left time.Duration
	// Err is the failure of the last try.
	Err error
}

func (e *DeadlineError) Error() string {
	return fmt.Sprintf("%v, and the deadline is in %s", e.Err, e.Left.Round(time.Second))
}

// ErrDeadline matches every DeadlineError in errors.Is.
var ErrDeadline = errors.New("the deadline comes before the next try")

// Is reports whether target is ErrDeadline.
func (e *DeadlineError) Is(target error) bool { return target == ErrDeadline }

// Unwrap returns the failure of the last try.
func (e *DeadlineError) Unwrap() error { return e.Err }

// Do calls operation until it succeeds, until Retryable calls its error final, until it has
// failed too often, or until the next try would come after the context's deadline. It returns
// operation's last error. If that error comes from Transport, the text is only Transport's:
// net/http puts the URL with its query before it.
//
// operation must be safe to repeat, and must start from the beginning each time.
func (p Policy) Do(ctx context.Context, operation func() error) error {
	waits := p.backOff()
	options := []backoff.RetryOption{
		backoff.WithBackOff(waits),
		backoff.WithMaxElapsedTime(0),
	}
	deadline, bounded := ctx.Deadline()
	if bounded {
		options = append(options, backoff.WithMaxElapsedTime(max(time.Until(deadline), 1)))
	}
	if p.Notify != nil {
		options = append(options, backoff.WithNotify(p.Notify))
	}
	var last error
	status := new(StatusError)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		last = concise(operation())
		switch {
		case last == nil:
			return struct{}{}, nil
		case !Retryable(last):
			return struct{}{}, backoff.Permanent(last)
		case errors.As(last, &status) && status.RetryAfter > 0:
			return struct{}{}, &retryAfter{last, &backoff.RetryAfterError{Duration: status.RetryAfter}}
		}
		return struct{}{}, last
	}, options...)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && errors.Is(last, context.Cause(ctx)):
		return last
	case ctx.Err() != nil:
		return fmt.Errorf("%w; the last failure was: %w", context.Cause(ctx), last)
	case bounded && Retryable(last) && waits.failed < waits.tries:
		return &DeadlineError{Left: time.Until(deadline), Err: last}
	}
	return last
}

// concise drops the text before an error of Transport.
func concise(err error) error {
	if status := new(StatusError); errors.As(err, &status) {
		return status
	}
	if broken := new(ConnectionError); errors.As(err, &broken) {
		return broken
	}
	return err
}

// retryAfter shows the wait to the backoff library, and the error to everybody else.
type retryAfter struct {
	error
	wait *backoff.RetryAfterError
}

func (e *retryAfter) Unwrap() []error { return []error{e.error, e.wait} }

func (p Policy) backOff() *limited {
	return &limited{tries: cmp.Or(p.Tries, 6), ExponentialBackOff: backoff.ExponentialBackOff{
		InitialInterval:     cmp.Or(p.Delay, time.Second),
		RandomizationFactor: 0.5,
		Multiplier:          2,
		MaxInterval:         cmp.Or(p.MaxDelay, 30*time.Second),
	}}
}

// limited is an exponential backoff that ends after a number of failures in a row.
// backoff.Retry resets it when the server names a time.
type limited struct {
	backoff.ExponentialBackOff
	tries, failed int
}

func (b *limited) Reset() {
	b.failed = 0
	b.ExponentialBackOff.Reset()
}

func (b *limited) NextBackOff() time.Duration {
	b.failed++
	if b.failed >= b.tries {
		return backoff.Stop
	}
	return b.ExponentialBackOff.NextBackOff()
}

// Again marks an error as one that a later try may cure. It is for operations that know more
// than the connection does: that a cache still has the old state, for example.
func Again(err error) error { return &again{err} }

type again struct{ error }

func (a *again) Unwrap() error { return a.error }

// Retryable reports whether another try may succeed: the server was busy or failing
// (StatusError), the connection broke, stalled or ended early, or Again marked the error.
// Other failures are final: an answer such as 401, 403 or 413, a certificate that is not
// trusted, a host that does not exist.
func Retryable(err error) bool {
	if status := new(StatusError); errors.As(err, &status) {
		return true
	}
	if marked := new(again); errors.As(err, &marked) {
		return true
	}
	// A body that ends before its announced size. net/http reports it for HTTP/1; in other
	// cases, readers that know the size report it.
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	broken := new(ConnectionError)
	if !errors.As(err, &broken) {
		return false
	}
	if cert := new(tls.CertificateVerificationError); errors.As(err, &cert) {
		return false
	}
	if dns := new(net.DNSError); errors.As(err, &dns) {
		return !dns.IsNotFound
	}
	if record := new(tls.RecordHeaderError); errors.As(err, record) {
		return false
	}
	// net/http has no type for these two errors.
	return !strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") &&
		!strings.Contains(err.Error(), "unsupported protocol scheme")
}
