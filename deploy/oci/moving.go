package oci

import (
	"context"
	"errors"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// MovingTag is where a moving tag points.
type MovingTag struct {
	// Reference is the tag.
	Reference Reference
	// Newest is the newest version in the tag's range, to which it should point.
	Newest version.Version
	// Err says why it does not point there, or why that is not known. nil: it does.
	Err error
}

// MovingTags looks up where the moving tags of a version point: 1.4, 1 and latest for 1.4.0, in
// each shape that the version has. Each tag should point to the newest version of its range,
// which need not be this one. A pre-release has no moving tags.
//
// It fails only if the list of tags cannot be read.
func (r *Registry) MovingTags(ctx context.Context, filter string, v version.Version) ([]MovingTag, error) {
	var all []MovingTag
	fail := func(err error) ([]MovingTag, error) {
		return nil, fmt.Errorf("look where the tags of %s point: %w", r.name(filter), err)
	}
	repo, err := r.repository(filter)
	if err != nil {
		return fail(err)
	}
	tags, err := r.tags(ctx, repo)
	if err != nil {
		return fail(err)
	}
	for _, shape := range Shapes {
		versions := versionsOf(tags, shape)
		switch listed := slices.ContainsFunc(versions, v.Equal); {
		case !listed && shape == Artifact:
			return fail(fmt.Errorf("the registry's list of tags does not have %s", v))
		case !listed:
			continue
		}
		for _, moving := range v.Ranges() {
			tag := MovingTag{Reference: Reference{Repository: r.name(filter), Tag: shape.tag(moving)}}
			// The versions are sorted, and the list has v.
			tag.Newest = versions[slices.IndexFunc(versions, func(v version.Version) bool { return slices.Contains(v.Ranges(), moving) })]
			tag.Err = r.checkMoving(ctx, repo, tag.Reference.Tag, shape.tag(tag.Newest.String()), tag.Newest)
			all = append(all, tag)
		}
	}
	return all, nil
}

// checkMoving compares a moving tag with the tag of the newest version.
func (r *Registry) checkMoving(ctx context.Context, repo *remote.Repository, moving, exact string, newest version.Version) error {
	current, err := r.findIn(ctx, repo, moving)
	if err != nil {
		return err
	}
	wanted, err := r.resolve(ctx, repo, exact)
	if finding.Absent(err) {
		return errors.New("a tag was deleted meanwhile; look again")
	}
	if err != nil || current.desc.Digest == wanted.Digest {
		return err
	}
	return finding.Mismatch(fmt.Errorf("it points to %s, which calls itself version %q, and the newest is %s: it was moved by hand, or the release of %s has not finished", current.desc.Digest, current.manifest.Annotations[ocispec.AnnotationVersion], newest, newest))
}
