package oci

import (
	"context"
	"fmt"

	"github.com/slipway-wasm/slipway/deploy/version"
)

// Versions returns the versions of a filter that are published in the Artifact
// shape, the newest first. A filter that was never published has none.
func (r *Registry) Versions(ctx context.Context, filter string) ([]version.Version, error) {
	repo, err := r.repository(filter)
	if err == nil {
		var tags []string
		if tags, err = r.tags(ctx, repo); err == nil {
			return versionsOf(tags, Artifact), nil
		}
	}
	return nil, fmt.Errorf("list the versions of %s: %w", r.name(filter), err)
}

// WasmSize is the size in bytes of the module in a filter's version, according to its
// manifest in the Artifact shape. If the version is not published, the error is
// errdef.ErrNotFound.
func (r *Registry) WasmSize(ctx context.Context, filter string, v version.Version) (int64, error) {
	ref := Reference{Repository: r.name(filter), Tag: Artifact.tag(v.String())}
	found, err := r.find(ctx, ref)
	if err != nil {
		return 0, fmt.Errorf("read the manifest of %s: %w", ref, err)
	}
	layer := found.manifest.layer(mediaTypeModuleLayer)
	if layer == nil {
		return 0, fmt.Errorf("read the manifest of %s: no layer is %s", ref, mediaTypeModuleLayer)
	}
	return layer.Size, nil
}
