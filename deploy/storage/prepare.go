package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Prepare finds early what would otherwise stop an upload after everything is built: a storage
// that cannot be read and written, or lists that cannot grow (ErrFixedLists). It writes at most
// probes, whose names begin with .slipway-. It does nothing if readers find the version of
// all filters already.
func Prepare(ctx context.Context, s *Storage, filters []string, v version.Version) error {
	missing := slices.ContainsFunc(filters, func(filter string) bool {
		_, err := s.publicSum(ctx, &Object{Filter: filter, Version: v.String()}, false)
		return err != nil // whatever it is, the upload has something to do
	})
	if !missing {
		return nil
	}
	var err error
	if s.bucket == nil {
		_, err = s.handOver(ctx, CloudRequest{Prepare: true})
	} else {
		err = s.prepare(ctx)
	}
	if err != nil {
		return s.secrets.Error(fmt.Errorf("%s cannot be written: %w", s.location, err))
	}
	return nil
}

func (s *Storage) prepare(ctx context.Context) error {
	switch b := s.bucket.(type) {
	case *server:
		return s.do(ctx, func() error { return s.checkServer(ctx, b) })
	case *folder:
		return b.writable()
	}
	return s.do(ctx, func() error { return tryOut(ctx, s.bucket) })
}

// checkServer tries a server out, and whether its lists can grow.
func (s *Storage) checkServer(ctx context.Context, b *server) error {
	if err := b.learn(ctx); err != nil {
		return err
	}
	if b.fixedLists != nil && !s.options.NoLists {
		return b.fixedLists
	}
	return nil
}

// tryOut writes a probe into a cloud's bucket.
func tryOut(ctx context.Context, bucket Bucket) error {
	old, tag, err := readSmall(ctx, bucket, probeKey)
	switch {
	case errors.Is(err, ErrNotFound):
		err = bucket.Create(ctx, probeKey, probe)
	case err == nil:
		err = bucket.Replace(ctx, probeKey, State{Tag: tag, SHA256: checksum.Bytes(old)}, probe)
	}
	if errors.Is(err, ErrPrecondition) {
		return nil // somebody else just wrote it
	}
	return err
}

// writable makes the folder and a file in it, which it removes again.
func (f *folder) writable() error {
	return f.write(probeKey, probe, func(*os.Root, string) error { return nil })
}
