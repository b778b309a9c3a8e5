package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/errdef"
)

// layout is a repository in a folder. The blobs are oras-go's; the index is kept
// here, because oras-go writes it in place, where a crash leaves half of it and a
// second process overwrites what the first added.
//
// Reference: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
type layout struct {
	*oci.Storage
	dir string
}

func newLayout(dir string) (*layout, error) {
	storage, err := oci.NewStorage(dir)
	if err != nil {
		return nil, fmt.Errorf("open OCI layout %s: %w", dir, err)
	}
	return &layout{Storage: storage, dir: dir}, nil
}

// Push stores a blob or a manifest. What the layout has already is left alone.
func (l *layout) Push(ctx context.Context, desc ocispec.Descriptor, body io.Reader) error {
	if desc.MediaType != ocispec.MediaTypeImageManifest {
		return ignoreExisting(l.Storage.Push(ctx, desc, body))
	}
	manifest, err := content.ReadAll(body, desc)
	if err != nil {
		return err
	}
	return l.add(ctx, desc, manifest, "", false)
}

// PushReference stores a manifest and lets tag point to it, and to nothing else.
func (l *layout) PushReference(ctx context.Context, desc ocispec.Descriptor, body io.Reader, tag string) error {
	manifest, err := content.ReadAll(body, desc)
	if err != nil {
		return err
	}
	return l.add(ctx, desc, manifest, tag, false)
}

// add stores a manifest and lets tag, unless it is empty, point to it. A tag that
// exists stays as it is if once is set.
func (l *layout) add(ctx context.Context, desc ocispec.Descriptor, manifest []byte, tag string, once bool) error {
	if err := ignoreExisting(l.Storage.Push(ctx, desc, bytes.NewReader(manifest))); err != nil {
		return err
	}
	var head ocispec.Manifest
	if err := json.Unmarshal(manifest, &head); err != nil {
		return fmt.Errorf("read manifest %s: %w", desc.Digest, err)
	}
	lock := flock.New(filepath.Join(l.dir, ".lock"))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("lock OCI layout %s: %w", l.dir, err)
	}
	defer func() { _ = lock.Unlock() }()
	index, err := l.index()
	if err != nil {
		return err
	}
	if once && slices.ContainsFunc(index.Manifests, func(d ocispec.Descriptor) bool { return d.Annotations[ocispec.AnnotationRefName] == tag }) {
		return nil
	}
	entry := ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size, ArtifactType: head.ArtifactType}
	if tag != "" {
		entry.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d ocispec.Descriptor) bool {
		old := d.Annotations[ocispec.AnnotationRefName]
		return (tag != "" && old == tag) || (d.Digest == desc.Digest && old == "")
	})
	if tag == "" && slices.ContainsFunc(index.Manifests, func(d ocispec.Descriptor) bool { return d.Digest == desc.Digest }) {
		return nil // a tag holds it
	}
	index.Manifests = append(index.Manifests, entry)
	return l.save(index)
}

func ignoreExisting(err error) error {
	if errors.Is(err, errdef.ErrAlreadyExists) {
		return nil
	}
	return err
}

func (l *layout) index() (ocispec.Index, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	data, err := os.ReadFile(filepath.Join(l.dir, ocispec.ImageIndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	if err != nil {
		return index, fmt.Errorf("read the index of OCI layout %s: %w", l.dir, err)
	}
	return index, nil
}

func (l *layout) save(index ocispec.Index) error {
	version, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		data []byte
	}{{ocispec.ImageLayoutFile, version}, {ocispec.ImageIndexFile, data}} {
		if err := renameio.WriteFile(filepath.Join(l.dir, file.name), file.data, 0o644, renameio.IgnoreUmask()); err != nil {
			return fmt.Errorf("write OCI layout %s: %w", l.dir, err)
		}
	}
	return nil
}

// Resolve finds a manifest by tag or digest.
func (l *layout) Resolve(_ context.Context, reference string) (ocispec.Descriptor, error) {
	index, err := l.index()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, d := range index.Manifests {
		if d.Annotations[ocispec.AnnotationRefName] == reference || d.Digest.String() == reference {
			d.Annotations = nil
			return d, nil
		}
	}
	return ocispec.Descriptor{}, fmt.Errorf("%s in OCI layout %s: %w", reference, l.dir, errdef.ErrNotFound)
}

// Tags lists the tags, sorted.
func (l *layout) Tags(_ context.Context, last string, fn func([]string) error) error {
	index, err := l.index()
	if err != nil {
		return err
	}
	tags := make(map[string]bool)
	for _, d := range index.Manifests {
		if tag := d.Annotations[ocispec.AnnotationRefName]; tag > last {
			tags[tag] = true
		}
	}
	return fn(slices.Sorted(maps.Keys(tags)))
}

// Referrers lists the manifests whose subject is desc.
func (l *layout) Referrers(ctx context.Context, desc ocispec.Descriptor, artifactType string, fn func([]ocispec.Descriptor) error) error {
	index, err := l.index()
	if err != nil {
		return err
	}
	var referrers []ocispec.Descriptor
	for _, d := range index.Manifests {
		data, err := content.FetchAll(ctx, l, d)
		if err != nil {
			return err
		}
		var manifest ocispec.Manifest
		if err := json.Unmarshal(data, &manifest); err != nil {
			return fmt.Errorf("read manifest %s: %w", d.Digest, err)
		}
		if manifest.Subject != nil && manifest.Subject.Digest == desc.Digest && (artifactType == "" || manifest.ArtifactType == artifactType) {
			d.ArtifactType, d.Annotations = manifest.ArtifactType, manifest.Annotations
			referrers = append(referrers, d)
		}
	}
	return fn(referrers)
}
