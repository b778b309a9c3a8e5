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

// Module is what a manifest says of the module in it.
type Module struct {
	// Reference is the manifest, pinned by its digest.
	Reference string
	// WasmSHA256 is the sha256 of the module, in hex.
	WasmSHA256 string
	// WasmSize is the module's size in bytes.
	WasmSize int64
}

// ModuleOf reads the manifest of a filter's version in the Artifact shape, and not
// the module itself: see Verify. If the version is not published, the error is
// errdef.ErrNotFound.
func ModuleOf(ctx context.Context, r *Registry, filter, version string) (Module, error) {
	ref := Reference{Repository: r.name(filter), Tag: Artifact.tag(version)}
	found, err := r.find(ctx, ref)
	if err != nil {
		return Module{}, fmt.Errorf("read the manifest of %s: %w", ref, err)
	}
	layer := found.manifest.layer(mediaTypeModuleLayer)
	if layer == nil {
		return Module{}, fmt.Errorf("read the manifest of %s: no layer is %s", ref, mediaTypeModuleLayer)
	}
	return Module{
		Reference:  Reference{Repository: ref.Repository, Digest: found.desc.Digest.String()}.String(),
		WasmSHA256: layer.Digest.Encoded(),
		WasmSize:   layer.Size,
	}, nil
}

// MovingTags are the tags that Move lets point to a version unless they point to a
// newer one, the narrowest first, in the Artifact shape: "1.4", "1", "latest". A
// pre-release has none.
func MovingTags(v *semver.Version) []string { return movingTags(v) }
