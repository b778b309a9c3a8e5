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

	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
)

// Move lets the moving tags (1.4, 1, latest, and the same of the other shapes)
// point to a version that was pushed, where they do not point to it or to a newer
// one. It does the second half of a Push with HoldTags, and returns what it moved
// for each of the published images.
func Move(ctx context.Context, r *Registry, published []Published) ([]Published, error) {
	moved := slices.Clone(published)
	var errs []error
	for i, p := range moved {
		repo, err := r.open(p.Repository)
		if err == nil {
			var desc ocispec.Descriptor
			if desc, err = r.resolve(ctx, repo, p.ManifestDigest); err == nil {
				moved[i].Moved, err = r.move(ctx, repo, p.Shape, p.Version, desc)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("move the tags of %s:%s: %w", p.Repository, p.Tag, err))
		}
	}
	return moved, errors.Join(errs...)
}

// move lets the moving tags of a version point to desc, unless they are further,
// and returns those that it moved.
//
// There is no way to move a tag only if it is still where it was. So move looks
// again after it has written: a push of a newer version sets its version tag before
// the moving ones, and whoever writes last sees all of them and leaves the tags at
// the newest.
func (r *Registry) move(ctx context.Context, repo repository, shape Shape, version string, desc ocispec.Descriptor) ([]string, error) {
	ours, err := ParseVersion(version)
	if err != nil {
		return nil, err
	}
	var behind []string
	for _, tag := range movingTags(ours) {
		current, err := r.resolve(ctx, repo, shape.tag(tag))
		if err != nil && !absent(err) {
			return nil, err
		}
		if err != nil || current.Digest != desc.Digest {
			behind = append(behind, tag)
		}
	}
	var moved []string
	for _, tag := range behind {
		ok, err := r.moveOne(ctx, repo, shape, tag, ours, desc)
		if err != nil {
			return nil, err
		}
		if ok {
			moved = append(moved, shape.tag(tag))
		}
	}
	return moved, nil
}

// moveOne moves one tag, and reports whether it points to desc because of that.
func (r *Registry) moveOne(ctx context.Context, repo repository, shape Shape, tag string, ours *semver.Version, desc ocispec.Descriptor) (bool, error) {
	wrote := false
	// Each round that does not return has found that somebody moved the tag.
	for range 10 {
		start := time.Now()
		newest, err := r.newest(ctx, repo, shape, tag)
		if err != nil {
			return false, err
		}
		if newest != nil && newest.GreaterThan(ours) {
			if !wrote {
				return false, nil // it is not for us to move
			}
			// A newer version arrived while we wrote; we may have overwritten its tag.
			ours = newest
			if desc, err = r.resolve(ctx, repo, shape.tag(newest.Original())); err != nil {
				return false, err
			}
		}
		current, err := r.resolve(ctx, repo, shape.tag(tag))
		switch {
		case err != nil && !absent(err):
			return false, err
		case err == nil && current.Digest == desc.Digest:
			return wrote, nil
		case err == nil:
			if ahead, err := r.ahead(ctx, repo, current, ours); ahead || err != nil {
				return false, err
			}
		}
		manifest, err := r.fetch(ctx, repo, desc)
		if err != nil {
			return false, err
		}
		if err := r.do(ctx, func() error {
			return repo.PushReference(ctx, desc, bytes.NewReader(manifest), shape.tag(tag))
		}); err != nil {
			return false, err
		}
		wrote = true
		if err := immutable.Settle(ctx, start); err != nil {
			return false, err
		}
	}
	return false, fmt.Errorf("tag %s does not stay where it is put: others keep moving it; run this again when they are done", shape.tag(tag))
}

// newest is the newest version in a repository that a moving tag stands for; nil
// if there is none.
func (r *Registry) newest(ctx context.Context, repo repository, shape Shape, moving string) (*semver.Version, error) {
	tags, err := r.tags(ctx, repo)
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", err)
	}
	var newest *semver.Version
	for _, tag := range tags {
		kind, ok := parseTag(tag)
		if ok && kind.shape == shape && kind.version != nil && slices.Contains(movingTags(kind.version), moving) &&
			(newest == nil || kind.version.GreaterThan(newest)) {
			newest = kind.version
		}
	}
	return newest, nil
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
	version, versionErr := ParseVersion(strings.TrimPrefix(manifest.Annotations[ocispec.AnnotationVersion], "v"))
	if err != nil || versionErr != nil {
		return false, fmt.Errorf("a moving tag points to %s, which does not say its version (annotation %s), so whether %s is newer is unknown; delete that tag, or move it by hand", current.Digest, ocispec.AnnotationVersion, ours)
	}
	return version.GreaterThan(ours), nil
}
