package targets

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/slipway-wasm/slipway/deploy/internal/actions"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
)

// terminated says that SIGTERM asked this process to end.
var terminated atomic.Bool

// mage interrupts a target at Ctrl-C alone. What runners, systemd and Kubernetes send, SIGTERM,
// would end the process at once, and leave behind what it started. The kernel sends it too when
// mage is killed: then this process has no parent that waits for it.
func init() {
	tellOfDeath()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		for range signals {
			terminated.Store(true)
			interruptSelf()
		}
	}()
}

// ended is the error that a target ends with: with advice, unable to steer the terminal and,
// after a signal, saying what was interrupted.
func ended(err error) error {
	err = annotated(printable.Error(advice.Add(err)))
	switch {
	case err == nil:
		return nil
	case terminated.Load():
		return &interruption{err, "SIGTERM", 128 + int(syscall.SIGTERM)}
	case errors.Is(err, context.Canceled) || interruptedChild(err):
		// Nothing else cancels the context that mage gives to a target.
		return &interruption{err, "Ctrl-C", 128 + int(syscall.SIGINT)}
	}
	return err
}

// annotated shows an error on the pages of GitHub Actions, once: a target may end with the error
// of another.
func annotated(err error) error {
	if err == nil || errors.As(err, new(*shown)) || errors.Is(err, context.Canceled) {
		return err
	}
	return &shown{errors.Join(err, actions.Annotate(os.Stderr, err))}
}

type shown struct{ error }

func (s *shown) Unwrap() error { return s.error }

// interruptedChild reports whether a program that the target ran was interrupted.
func interruptedChild(err error) bool {
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGINT
}

// interruption says that a signal ended a target.
type interruption struct {
	err    error
	by     string
	status int
}

func (i *interruption) Unwrap() error { return i.err }

func (i *interruption) Error() string {
	what := i.err.Error()
	for _, cause := range []string{"context canceled", "signal: interrupt", "signal: killed", "signal: terminated"} {
		what = strings.TrimSuffix(what, ": "+cause)
	}
	// The last line is what people read.
	return what + "\ninterrupted by " + i.by + "; run the same again, and it goes on from there"
}

// ExitStatus is what mage exits with: 130 or 143, as a shell says it.
func (i *interruption) ExitStatus() int { return i.status }
