package concurrent_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
)

func TestEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most, done atomic.Int32
		failed := errors.New("failed")
		err := concurrent.Each(2, []string{"a", "b", "c", "d"}, func(i int, item string) error {
			now := running.Add(1)
			most.Store(max(most.Load(), now))
			time.Sleep(time.Duration(4-i) * time.Second) // synctest's clock: the last item ends first
			running.Add(-1)
			done.Add(1)
			if item == "c" {
				return nil
			}
			return fmt.Errorf("%s: %w", item, failed)
		})
		if done.Load() != 4 || most.Load() != 2 {
			t.Errorf("%d were done, at most %d at a time, want 4 and 2", done.Load(), most.Load())
		}
		if !errors.Is(err, failed) || err.Error() != "a: failed\nb: failed\nd: failed" {
			t.Errorf("error %q, want those of a, b and d in this order", err)
		}
	})
}
