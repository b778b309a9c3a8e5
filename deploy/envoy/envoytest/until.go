package envoytest

import (
	"context"
	"fmt"
	"time"
)

// interval is how often Until looks.
const interval = 20 * time.Millisecond

// Until polls: it calls see until that returns nil. When ctx ends, it returns what see
// returned last, and why ctx ended.
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
