package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Move points the moving tags (1.4, 1, latest, and the same of the other shapes) to
// versions that were pushed. It leaves tags alone that point to these or to newer
// versions. It is the second half of a Push with HoldTags, and returns the images with
// the tags that were moved to each.
//
// If the registry refuses to move a tag, or is not to be asked (FixedTags), the release is
// complete without: see Published.Refusal.
//
// A registry cannot move a tag on the condition that it is still where it was. So Move
// looks again after each write. A push of a newer version sets its version tag before
// the moving ones. Whoever writes last therefore sees all versions, and leaves the tags
// at the newest.
func (r *Registry) Move(ctx context.Context, published []Published) ([]Published, error) {
	moved := slices.Clone(published)
	if r.fixed {
		return moved, nil
	}
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
	// Another round follows only if somebody else moved a tag meanwhile.
	for range 10 {
		lists := &tagLists{lists: make(map[string]func() ([]string, error))}
		if err := step(func(i int) error { return movers[i].round(ctx, lists) }); err != nil {
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
				moved[i].Moved, moved[i].Versions, moved[i].Refusal = m.moved(), m.listed, m.refusal
			}
			return moved, nil
		}
	}
	return nil, errors.New("the moving tags do not stay where they are put: others keep moving them; run this again when they are done")
}

// tagLists lists the tags of each repository once, for all shapes.
type tagLists struct {
	mu    sync.Mutex
	lists map[string]func() ([]string, error)
}

func (l *tagLists) of(ctx context.Context, r *Registry, repo *remote.Repository) ([]string, error) {
	l.mu.Lock()
	list, ok := l.lists[repo.Reference.Repository]
	if !ok {
		list = sync.OnceValues(func() ([]string, error) { return r.tags(ctx, repo) })
		l.lists[repo.Reference.Repository] = list
	}
	l.mu.Unlock()
	return list()
}

// mover moves the moving tags of one image.
type mover struct {
	*Registry
	repo    *remote.Repository
	shape   Shape
	version version.Version
	behind  []*moving
	listed  []version.Version // in the last round, the newest first
	refusal error             // of the registry to move a tag
	// settled is when the tags that the last round wrote can be looked at again;
	// zero if it wrote none.
	settled time.Time
}

// moving is a moving tag and the version that it is to point to.
type moving struct {
	tag     string // without the shape's prefix
	version version.Version
	to      *found
	wrote   bool
}

// newMover finds the image whose tags are moved.
func (r *Registry) newMover(ctx context.Context, p Published) (*mover, error) {
	repo, err := r.open(p.Repository)
	if err != nil {
		return nil, err
	}
	m := &mover{Registry: r, repo: repo, shape: p.Shape, version: p.Version}
	tags := p.Version.Ranges()
	if len(tags) == 0 || !p.Unchanged {
		return m, m.add(ctx, p, tags)
	}
	// The last tag is written last. If it is right, so are the others.
	for i, tag := range slices.Backward(tags) {
		current, err := r.resolve(ctx, repo, p.Shape.tag(tag))
		if err != nil && !finding.Absent(err) {
			return nil, err
		}
		if err == nil && current.Digest.String() == p.ManifestDigest {
			return m, m.add(ctx, p, tags[i+1:])
		}
	}
	return m, m.add(ctx, p, tags)
}

// add adds tags that do not point to the image yet.
func (m *mover) add(ctx context.Context, p Published, tags []string) (err error) {
	if len(tags) == 0 {
		return nil
	}
	var to *found
	if p.image != nil {
		to = &found{desc: p.image.Descriptor, content: p.image.Manifest}
	} else if to, err = m.findIn(ctx, m.repo, p.ManifestDigest); err != nil {
		return err
	}
	for _, tag := range tags {
		m.behind = append(m.behind, &moving{tag: tag, version: m.version, to: to})
	}
	return nil
}

// moved are the tags that were moved to the image and stayed.
func (m *mover) moved() []string {
	var tags []string
	for _, b := range m.behind {
		if b.wrote && b.version.Equal(m.version) {
			tags = append(tags, m.shape.tag(b.tag))
		}
	}
	return tags
}

// round looks up where each tag points, and writes those that are wrong.
func (m *mover) round(ctx context.Context, lists *tagLists) error {
	m.settled = time.Time{}
	if len(m.behind) == 0 {
		return nil
	}
	start := time.Now()
	tags, err := lists.of(ctx, m.Registry, m.repo)
	if err != nil {
		return fmt.Errorf("list tags: %w", err)
	}
	m.listed = versionsOf(tags, m.shape)
	must := make([]bool, len(m.behind))
	right := false
	for i, b := range slices.Backward(m.behind) {
		// The tag that was written after this one is still where we put it. So this
		// one is right too, unless there is a newer version for it.
		if right && m.newest(b).IsZero() {
			continue
		}
		if must[i], err = m.mustMove(ctx, b, tags); err != nil {
			return fmt.Errorf("tag %s: %w", m.shape.tag(b.tag), err)
		}
		right = b.wrote && !must[i]
	}
	for i, b := range m.behind {
		if !must[i] {
			continue
		}
		if err := m.do(ctx, func() error {
			return m.repo.PushReference(ctx, b.to.desc, bytes.NewReader(b.to.content), m.shape.tag(b.tag))
		}); err != nil {
			if !slices.Contains(tags, m.shape.tag(b.tag)) || !refusesToMove(err) {
				return err
			}
			// The tags after this one would be refused as well.
			m.refusal, m.behind = fixedTags(err), m.behind[:i]
			return nil
		}
		b.wrote, m.settled = true, immutable.Settled(start)
	}
	return nil
}

func fixedTags(err error) error {
	return fmt.Errorf("%w: %w; those that exist stay where they are", ErrFixedTags, err)
}

// newest is the newest version that a tag should point to instead of ours; zero if
// there is none.
func (m *mover) newest(b *moving) version.Version {
	for _, v := range m.listed {
		if slices.Contains(v.Ranges(), b.tag) && v.Compare(b.version) > 0 {
			return v
		}
	}
	return version.Version{}
}

// mustMove reports whether a tag has to be moved, because it is missing or points to an
// older version than ours. If a newer version arrived after we wrote the tag, that becomes
// the target: we may have overwritten the tag that its push wrote.
func (m *mover) mustMove(ctx context.Context, b *moving, tags []string) (bool, error) {
	if newest := m.newest(b); !newest.IsZero() {
		if !b.wrote {
			return false, nil // the newer version's push moves it
		}
		to, err := m.findIn(ctx, m.repo, m.shape.tag(newest.String()))
		if err != nil {
			return false, err
		}
		b.version, b.to = newest, to
	}
	if !b.wrote && !slices.Contains(tags, m.shape.tag(b.tag)) {
		return true, nil
	}
	if b.wrote && !slices.ContainsFunc(m.listed, func(v version.Version) bool {
		return !v.Equal(b.version) && slices.Contains(v.Ranges(), b.tag)
	}) {
		return false, nil // no other version exists that somebody could have moved it to
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

// versionsOf are the versions among the tags of a shape, the newest first.
func versionsOf(tags []string, shape Shape) []version.Version {
	var versions []version.Version
	for _, tag := range tags {
		if kind, ok := parseTag(tag); ok && kind.shape == shape && !kind.version.IsZero() {
			versions = append(versions, kind.version)
		}
	}
	slices.SortFunc(versions, func(a, b version.Version) int { return b.Compare(a) })
	return versions
}

// ahead reports whether the manifest that a moving tag points to is newer than ours. It
// reads the version from the manifest, because the version's tag may have been deleted.
func (r *Registry) ahead(ctx context.Context, repo *remote.Repository, current ocispec.Descriptor, ours version.Version) (bool, error) {
	data, err := r.fetch(ctx, repo, current)
	if err != nil {
		return false, err
	}
	manifest, err := parseManifest(current.MediaType, data)
	theirs, versionErr := version.Parse(strings.TrimPrefix(manifest.Annotations[ocispec.AnnotationVersion], "v"))
	if err != nil || versionErr != nil {
		return false, fmt.Errorf("it points to %s, which does not say its version (annotation %s), so whether %s is newer is unknown; delete that tag, or move it by hand", current.Digest, ocispec.AnnotationVersion, ours)
	}
	return theirs.Compare(ours) > 0, nil
}
