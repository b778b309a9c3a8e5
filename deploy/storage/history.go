package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// Versions fetches the list of a filter's versions as readers do, the newest first.
// A filter that was never published has none.
func Versions(ctx context.Context, s *Storage, filter string) ([]IndexEntry, error) {
	if err := catalog.CheckName(filter); err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	var versions []IndexEntry
	err := s.fetchSmall(ctx, IndexKey(filter), false, func(data []byte) error {
		index, err := ParseIndex(data, filter)
		if err != nil {
			return err
		}
		versions = index.Versions
		return nil
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, s.secrets.Error(fmt.Errorf("list the versions of %s: %w", filter, err))
	}
	return versions, nil
}
