package oci

import (
	"bytes"
	"context"
	"encoding/json"
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

// Move lets the moving tags (1.4, 1, latest, and the same of the other shapes)
// point to versions that were pushed, where they do not point to them or to newer
// ones. It does the second half of a Push with HoldTags, and returns the images
// with what was moved to each.
//
// There is no way to move a tag only if it is still where it was. So Move looks
// again after it has written: a push of a newer version sets its version tag before
// the moving ones, and whoever writes last sees all of them and leaves the tags at
// the newest.
func (r *Registry) Move(ctx context.Context, published []Published) ([]Published, error) {
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
				moved[i].Moved, moved[i].Versions = m.moved(), m.listed
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
	// settled is when the tags that the last round wrote can be looked at again;
	// zero if it wrote none.
	settled time.Time
}

// moving is a moving tag on its way to a version.
type moving struct {
	tag     string // without the shape's prefix
	version version.Version
	to      image
	wrote   bool
}

// image is the manifest that a tag is moved to.
type image struct {
	desc     ocispec.Descriptor
	manifest []byte
}

func (r *Registry) image(ctx context.Context, repo *remote.Repository, reference string) (image, error) {
	found, err := r.findIn(ctx, repo, reference)
	if err != nil {
		return image{}, err
	}
	return image{found.desc, found.content}, nil
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
	// The last one is written last: where it is right, the others are.
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

// add lets tags follow that do not point to an image.
func (m *mover) add(ctx context.Context, p Published, tags []string) (err error) {
	if len(tags) == 0 {
		return nil
	}
	var to image
	if p.image != nil {
		to = image{p.image.Descriptor, p.image.Manifest}
	} else if to, err = m.image(ctx, m.repo, p.ManifestDigest); err != nil {
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

// round looks where each tag has to point and writes those that do not.
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
		// What was written later is where we put it, and so is this, unless there is
		// something newer for it.
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
			return m.repo.PushReference(ctx, b.to.desc, bytes.NewReader(b.to.manifest), m.shape.tag(b.tag))
		}); err != nil {
			return err
		}
		b.wrote, m.settled = true, immutable.Settled(start)
	}
	return nil
}

// newest is the newest version that a tag should point to, rather than to that which
// we move it to; zero if there is none.
func (m *mover) newest(b *moving) version.Version {
	for _, v := range m.listed {
		if slices.Contains(v.Ranges(), b.tag) && v.Compare(b.version) > 0 {
			return v
		}
	}
	return version.Version{}
}

// mustMove reports whether a tag points to less than the version that we move it
// to, which it changes to a newer one that arrived after we wrote: we may have
// overwritten what its push wrote.
func (m *mover) mustMove(ctx context.Context, b *moving, tags []string) (bool, error) {
	if newest := m.newest(b); !newest.IsZero() {
		if !b.wrote {
			return false, nil // it is not for us to move
		}
		to, err := m.image(ctx, m.repo, m.shape.tag(newest.String()))
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
		return false, nil // there is nothing else that somebody could have moved it to
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

// ahead reports whether what a moving tag points to is newer than ours, by its own
// word: its version's tag may have been deleted.
func (r *Registry) ahead(ctx context.Context, repo *remote.Repository, current ocispec.Descriptor, ours version.Version) (bool, error) {
	data, err := r.fetch(ctx, repo, current)
	if err != nil {
		return false, err
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	err = json.Unmarshal(data, &manifest)
	theirs, versionErr := version.Parse(strings.TrimPrefix(manifest.Annotations[ocispec.AnnotationVersion], "v"))
	if err != nil || versionErr != nil {
		return false, fmt.Errorf("it points to %s, which does not say its version (annotation %s), so whether %s is newer is unknown; delete that tag, or move it by hand", current.Digest, ocispec.AnnotationVersion, ours)
	}
	return theirs.Compare(ours) > 0, nil
}
