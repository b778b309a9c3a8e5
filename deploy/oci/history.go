package oci

import (
	"context"
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"
)

// Versions returns the versions of a filter that are published in the Artifact
// shape, the newest first. A filter that was never published has none.
func Versions(ctx context.Context, r *Registry, filter string) ([]*semver.Version, error) {
	repo, err := r.repository(filter)
	if err == nil {
		var list []*semver.Version
		if list, err = r.versions(ctx, repo, Artifact); err == nil {
			slices.SortFunc(list, func(a, b *semver.Version) int { return b.Compare(a) })
			return list, nil
		}
	}
	return nil, fmt.Errorf("list the versions of %s: %w", r.name(filter), err)
}

// WasmSize is the size in bytes of the module in a filter's version, as its manifest
// in the Artifact shape says it. If the version is not published, the error is
// errdef.ErrNotFound.
func WasmSize(ctx context.Context, r *Registry, filter, version string) (int64, error) {
	ref := Reference{Repository: r.name(filter), Tag: Artifact.tag(version)}
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

// MovingTags are the tags that Move lets point to a version unless they point to a
// newer one, the narrowest first, in the Artifact shape: "1.4", "1", "latest". A
// pre-release has none.
func MovingTags(v *semver.Version) []string { return movingTags(v) }
