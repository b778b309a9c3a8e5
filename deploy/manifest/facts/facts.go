// Package facts reads the facts of a published release from where proxies will read it: the
// registry, and the storage's public address without credentials.
//
// It exists so that a manifest can only name what is published. A digest from a local build
// may never have been pushed, and nobody would notice before a pod starts.
package facts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Options say which release to look for, and where.
type Options struct {
	// Filters are the filters' names. Required.
	Filters []string
	// Version is the version of all filters. Required.
	Version version.Version
	// Registry and Storage are where Read looks. Each one that is given must have every
	// filter. Required: at least one of the two.
	Registry *oci.Registry
	Storage  *storage.Storage
}

// Read fetches and verifies everything that the release has in the registry and in the
// storage, and returns its facts in the order of the filters. The error names everything that
// is missing or damaged, or differs between the two.
func Read(ctx context.Context, opts Options) ([]manifest.Source, error) {
	if opts.Registry == nil && opts.Storage == nil {
		return nil, errors.New("read release: neither a registry nor a storage was given")
	}
	releases := make([]manifest.Source, len(opts.Filters))
	for i, filter := range opts.Filters {
		releases[i] = manifest.Source{Filter: filter, Version: opts.Version.String()}
		if opts.Registry == nil {
			continue
		}
		if err := fromRegistry(ctx, opts.Registry, &releases[i]); err != nil {
			return nil, fmt.Errorf("read release %s %s from the registry: %w", filter, opts.Version, err)
		}
	}
	if opts.Storage != nil {
		if err := fromStorage(ctx, opts, releases); err != nil {
			return nil, fmt.Errorf("read release %s from the storage: %w", opts.Version, err)
		}
	}
	return releases, nil
}

func fromRegistry(ctx context.Context, registry *oci.Registry, release *manifest.Source) error {
	ref, err := registry.ParseReference(release.Filter + ":" + release.Version)
	if err != nil {
		return err
	}
	found, err := registry.Check(ctx, ref)
	if finding.Absent(err) {
		return fmt.Errorf("%w; push it first", err)
	}
	if err != nil {
		return err
	}
	if err := found.Err(); err != nil {
		return err
	}
	release.Repository = ref.Repository
	release.Tag = ref.Tag
	release.ManifestDigest = found.ManifestDigest
	release.WasmSHA256 = found.WasmSHA256
	return nil
}

func fromStorage(ctx context.Context, opts Options, releases []manifest.Source) error {
	objects, err := storage.Verify(ctx, opts.Storage, storage.VerifyOptions{Version: opts.Version, Filters: opts.Filters})
	if err != nil {
		return err
	}
	found := map[string]storage.Object{}
	for _, object := range objects {
		found[object.Filter] = object
	}
	for i := range releases {
		release := &releases[i]
		object, ok := found[release.Filter]
		if !ok {
			return fmt.Errorf("%s: %w; upload it", release.Filter, storage.ErrNotFound)
		}
		if release.WasmSHA256 != "" && release.WasmSHA256 != object.WasmSHA256 {
			return fmt.Errorf("%s: the module has wasm sha256 %s there and %s in the registry; publish both from one build, under a new version",
				release.Filter, object.WasmSHA256, release.WasmSHA256)
		}
		// A folder proves what was published, and is no address for proxies.
		if release.Repository == "" || !strings.HasPrefix(object.URL, "file:") {
			release.URL, release.Redirect = object.URL, object.Redirect
		}
		release.WasmSHA256 = object.WasmSHA256
	}
	return nil
}
