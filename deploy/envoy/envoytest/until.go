package envoytest

import (
	"context"
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
