// Package concurrent does the same to several items at once.
package concurrent

import (
	"errors"

	"golang.org/x/sync/errgroup"
)

// Each calls do for every item, at most limit of them at a time, and waits for all. If one
// item fails, the others are still done. The error joins the errors of all items, in their
// order.
func Each[T any](limit int, items []T, do func(i int, item T) error) error {
	failures := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(limit)
	for i, item := range items {
		group.Go(func() error {
			failures[i] = do(i, item)
			return nil
		})
	}
	_ = group.Wait() // every item keeps its own error
	return errors.Join(failures...)
}
