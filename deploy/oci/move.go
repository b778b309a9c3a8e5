package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/internal/versions"
)

// Move lets the moving tags (1.4, 1, latest, and the same of the other shapes)
// point to versions that were pushed, where they do not point to them or to newer
// ones. It does the second half of a Push with HoldTags, and returns the images
// with what was moved to each.
//
// There is no way to move a tag only if it is still where it was. So Move looks
// again after it has written: a push of a newer version sets its version tag before
// the moving ones, and whoever writes last sees all of them and leaves the tags at
// the newest.
func Move(ctx context.Context, r *Registry, published []Published) ([]Published, error) {
	moved := slices.Clone(published)
	movers := make([]*mover, len(published))
	step := func(do func(i int) error) error {
		return concurrent.Each(parallel, published, func(i int, p Published) error {
			if err := do(i); err != nil {
				return fmt.Errorf("move the tags of %s:%s: %w", p.Repository, p.Tag, err)
			}
			return nil
		})
	}
	if err := step(func(i int) (err error) {
		movers[i], err = r.newMover(ctx, published[i])
		return err
	}); err != nil {
		return nil, err
	}
	// Each round after the first has found that somebody moved a tag meanwhile.
	for range 10 {
		if err := step(func(i int) error { return movers[i].round(ctx) }); err != nil {
			return nil, err
		}
		done := true
		for _, m := range movers {
			if !m.settled.IsZero() {
				done = false
				if err := immutable.Settle(ctx, m.settled); err != nil {
					return nil, err
				}
			}
		}
		if done {
			for i, m := range movers {
				moved[i].Moved = m.moved()
			}
			return moved, nil
		}
	}
	return nil, errors.New("the moving tags do not stay where they are put: others keep moving them; run this again when they are done")
}

// mover moves the moving tags of one image.
type mover struct {
	*Registry
	repo    repository
	shape   Shape
	version *semver.Version
	behind  []*moving
	// settled is when the tags that the last round wrote can be looked at again;
	// zero if it wrote none.
	settled time.Time
}

// moving is a moving tag on its way to a version.
type moving struct {
	tag     string // without the shape's prefix
	version *semver.Version
	to      image
	wrote   bool
}

// image is the manifest that a tag is moved to.
type image struct {
	desc     ocispec.Descriptor
	manifest []byte
}

func (r *Registry) image(ctx context.Context, repo repository, reference string) (image, error) {
	desc, err := r.resolve(ctx, repo, reference)
	if err != nil {
		return image{}, err
	}
	manifest, err := r.fetch(ctx, repo, desc)
	return image{desc, manifest}, err
}

// newMover looks which moving tags do not point to an image.
func (r *Registry) newMover(ctx context.Context, p Published) (*mover, error) {
	version, err := versions.Parse(p.Version)
	if err != nil {
		return nil, err
	}
	repo, err := r.open(p.Repository)
	if err != nil {
		return nil, err
	}
	m := &mover{Registry: r, repo: repo, shape: p.Shape, version: version}
	// The last one is written last: where it is right, the others are.
	for _, tag := range slices.Backward(movingTags(version)) {
		current, err := r.resolve(ctx, repo, p.Shape.tag(tag))
		if err != nil && !finding.Absent(err) {
			return nil, err
		}
		if err == nil && current.Digest.String() == p.ManifestDigest {
			break
		}
		m.behind = append(m.behind, &moving{tag: tag, version: version})
	}
	if len(m.behind) == 0 {
		return m, nil
	}
	slices.Reverse(m.behind)
	to, err := r.image(ctx, repo, p.ManifestDigest)
	for _, b := range m.behind {
		b.to = to
	}
	return m, err
}

// moved are the tags that were moved to the image and stayed.
func (m *mover) moved() []string {
	var tags []string
	for _, b := range m.behind {
		if b.wrote && b.version == m.version {
			tags = append(tags, m.shape.tag(b.tag))
		}
	}
	return tags
}

// round looks where each tag has to point and writes those that do not.
func (m *mover) round(ctx context.Context) error {
	m.settled = time.Time{}
	if len(m.behind) == 0 {
		return nil
	}
	start := time.Now()
	versions, err := m.versions(ctx, m.repo, m.shape)
	if err != nil {
		return err
	}
	for _, b := range m.behind {
		move, err := m.mustMove(ctx, b, versions)
		if err != nil {
			return fmt.Errorf("tag %s: %w", m.shape.tag(b.tag), err)
		}
		if !move {
			continue
		}
		if err := m.do(ctx, func() error {
			return m.repo.PushReference(ctx, b.to.desc, bytes.NewReader(b.to.manifest), m.shape.tag(b.tag))
		}); err != nil {
			return err
		}
		b.wrote, m.settled = true, immutable.Settled(start)
	}
	return nil
}

// mustMove reports whether a tag points to less than the version that we move it
// to, which it changes to a newer one that arrived after we wrote: we may have
// overwritten what its push wrote.
func (m *mover) mustMove(ctx context.Context, b *moving, versions []*semver.Version) (bool, error) {
	for _, v := range versions {
		if !slices.Contains(movingTags(v), b.tag) || !v.GreaterThan(b.version) {
			continue
		}
		if !b.wrote {
			return false, nil // it is not for us to move
		}
		to, err := m.image(ctx, m.repo, m.shape.tag(v.Original()))
		if err != nil {
			return false, err
		}
		b.version, b.to = v, to
	}
	current, err := m.resolve(ctx, m.repo, m.shape.tag(b.tag))
	if finding.Absent(err) {
		return true, nil
	}
	if err != nil || current.Digest == b.to.desc.Digest {
		return false, err
	}
	ahead, err := m.ahead(ctx, m.repo, current, b.version)
	return !ahead, err
}

// versions are the versions that are published in a shape.
func (r *Registry) versions(ctx context.Context, repo repository, shape Shape) ([]*semver.Version, error) {
	tags, err := r.tags(ctx, repo)
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", err)
	}
	var versions []*semver.Version
	for _, tag := range tags {
		if kind, ok := parseTag(tag); ok && kind.shape == shape && kind.version != nil {
			versions = append(versions, kind.version)
		}
	}
	return versions, nil
}

// ahead reports whether what a moving tag points to is newer than ours, by its own
// word: its version's tag may have been deleted.
func (r *Registry) ahead(ctx context.Context, repo repository, current ocispec.Descriptor, ours *semver.Version) (bool, error) {
	data, err := r.fetch(ctx, repo, current)
	if err != nil {
		return false, err
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	err = json.Unmarshal(data, &manifest)
	version, versionErr := versions.Parse(strings.TrimPrefix(manifest.Annotations[ocispec.AnnotationVersion], "v"))
	if err != nil || versionErr != nil {
		return false, fmt.Errorf("it points to %s, which does not say its version (annotation %s), so whether %s is newer is unknown; delete that tag, or move it by hand", current.Digest, ocispec.AnnotationVersion, ours)
	}
	return version.GreaterThan(ours), nil
}
