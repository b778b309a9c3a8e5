package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Bundle is a signed statement to store beside a module.
type Bundle struct {
	// Content is the sigstore bundle, as JSON.
	Content []byte
	// Old is the bundle that it replaces, because nobody accepts that any more. Default: there
	// is none.
	Old []byte
}

// AttachOptions says what to store beside the modules of a version.
type AttachOptions struct {
	// Version is the version of all modules.
	Version version.Version
	// Bundles are those about the modules, by the filters' names. They go under BundleKey.
	Bundles map[string]Bundle
	// Records are those with the records of the release, by the filters' names. They go under
	// RecordKey.
	Records map[string]Bundle
}

// Attach stores signed statements beside the modules of a version, and fetches each as readers
// do. If there is another bundle than Old, it changes nothing there and returns
// ErrPrecondition: somebody else signed at the same time.
func Attach(ctx context.Context, s *Storage, opts AttachOptions) error {
	err := checkNames(opts.Version, slices.AppendSeq(slices.Collect(maps.Keys(opts.Bundles)), maps.Keys(opts.Records)))
	if err == nil && s.bucket == nil {
		_, err = s.handOver(ctx, CloudRequest{Attach: &opts})
	} else if err == nil {
		err = s.attach(ctx, opts)
	}
	if err != nil {
		return s.secrets.Error(fmt.Errorf("store the signatures of %s in %s: %w", opts.Version, s.location, err))
	}
	return nil
}

func (s *Storage) attach(ctx context.Context, opts AttachOptions) error {
	u := &upload{s, UploadOptions{Version: opts.Version}}
	bundles := make(map[string]Bundle)
	for filter, bundle := range opts.Bundles {
		bundles[BundleKey(filter, opts.Version.String())] = bundle
	}
	for filter, bundle := range opts.Records {
		bundles[RecordKey(filter, opts.Version.String())] = bundle
	}
	for _, key := range slices.Sorted(maps.Keys(bundles)) {
		bundle := bundles[key]
		if err := u.amend(ctx, key, func(old []byte) ([]byte, error) {
			if len(old) > 0 && !bytes.Equal(old, bundle.Old) && !bytes.Equal(old, bundle.Content) {
				return nil, fmt.Errorf("%w; run it again", ErrPrecondition)
			}
			return bundle.Content, nil
		}, write); err != nil {
			return err
		}
		if err := s.fetchSmall(ctx, key, true, func(data []byte) error {
			if !bytes.Equal(data, bundle.Content) {
				return again(finding.Mismatch(fmt.Errorf("it serves other bytes than were stored; %w", s.elsewhere(true))), true)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// ReadBundle fetches the signed statement about a module as readers do. If there is none, it
// returns nil.
func ReadBundle(ctx context.Context, s *Storage, filter string, v version.Version) ([]byte, error) {
	return s.readBundle(ctx, filter, v, BundleKey)
}

// ReadRecord fetches the signed statement with the record of a module's release as readers do.
// If there is none, it returns nil.
func ReadRecord(ctx context.Context, s *Storage, filter string, v version.Version) ([]byte, error) {
	return s.readBundle(ctx, filter, v, RecordKey)
}

func (s *Storage) readBundle(ctx context.Context, filter string, v version.Version, key func(filter, version string) string) (bundle []byte, err error) {
	if err := checkNames(v, []string{filter}); err != nil {
		return nil, fmt.Errorf("read the signature of %s: %w", filter, err)
	}
	err = s.fetchSmall(ctx, key(filter, v.String()), false, func(data []byte) error {
		bundle = data
		return nil
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, s.secrets.Error(fmt.Errorf("read the signature of %s: %w", filter, err))
	}
	return bundle, nil
}
