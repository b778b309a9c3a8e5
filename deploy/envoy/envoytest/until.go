package envoytest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// interval is the time between two polls of Until.
const interval = 20 * time.Millisecond

// Until polls: it calls see until see returns nil. If ctx ends first, it returns the last
// error of see, and why ctx ended.
func Until(ctx context.Context, see func() error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		err := see()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		}
	}
}

// Go calls run, for a program that a test watches while it runs. running ends when run returns,
// with that as its cause: Until then stops, too. wait waits for the end and returns run's error.
func Go(run func() error) (running context.Context, wait func() error) {
	running, end := context.WithCancelCause(context.Background())
	var err error
	go func() {
		err = run()
		if err == nil {
			end(errors.New("ended too early, without an error"))
			return
		}
		end(fmt.Errorf("ended too early: %w", err))
	}()
	return running, func() error { <-running.Done(); return err }
}
