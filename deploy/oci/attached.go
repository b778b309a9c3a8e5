package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/versions"
)

// Manifest is one of the manifests of a filter's version.
type Manifest struct {
	// Reference names the manifest by its tag.
	Reference Reference
	// ManifestDigest is the manifest digest, "sha256:…".
	ManifestDigest string
	// Shape is the form that the tag is for.
	Shape Shape
	// Annotations are the manifest's annotations.
	Annotations map[string]string
}

// ByDigest is the manifest's reference that no tag can move.
func (m Manifest) ByDigest() Reference {
	return Reference{Repository: m.Reference.Repository, Digest: m.ManifestDigest}
}

// Manifests returns the manifests of a filter's version, one for each shape that is
// published; the artifact has to be.
func Manifests(ctx context.Context, r *Registry, filter, version string) ([]Manifest, error) {
	if _, err := versions.Parse(version); err != nil {
		return nil, err
	}
	var all []Manifest
	for _, shape := range Shapes {
		ref := Reference{Repository: r.name(filter), Tag: shape.tag(version)}
		found, err := r.find(ctx, ref)
		if shape != Artifact && finding.Absent(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", ref, err)
		}
		all = append(all, Manifest{
			Reference:      ref,
			ManifestDigest: found.desc.Digest.String(),
			Shape:          shape,
			Annotations:    found.manifest.Annotations,
		})
	}
	return all, nil
}

// Attached returns the files that are attached to the manifest that a reference
// stands for, of those artifact types that begin with a prefix. Content that is not
// what its descriptor says is returned as an attachment without content, because
// who asks wants to know that it is there.
func Attached(ctx context.Context, r *Registry, ref Reference, prefix string) ([]Attachment, error) {
	all, err := r.attached(ctx, ref, prefix)
	if err != nil {
		return nil, fmt.Errorf("read what is attached to %s: %w", ref, err)
	}
	return all, nil
}

// maxAttached bounds what is read of what is attached to one manifest. A signature has
// some kilobytes, a bill of materials some more, and whoever may push can add to them.
const maxAttached = 64 << 20

func (r *Registry) attached(ctx context.Context, ref Reference, prefix string) ([]Attachment, error) {
	subject, err := r.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	referrers, err := r.referrers(ctx, subject.repo, subject.desc)
	if err != nil {
		return nil, err
	}
	var all []Attachment
	size := 0
	for _, referrer := range referrers {
		data, err := r.fetch(ctx, subject.repo, referrer)
		if err != nil {
			return nil, err
		}
		var m ocispec.Manifest
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, finding.Mismatch(fmt.Errorf("read manifest %s: %w", referrer.Digest, err))
		}
		artifactType := m.ArtifactType
		if artifactType == "" {
			artifactType = m.Config.MediaType
		}
		// The list's word is not enough: some registries leave the type out.
		for _, layer := range m.Layers {
			if !strings.HasPrefix(artifactType, prefix) && !strings.HasPrefix(layer.MediaType, prefix) {
				continue
			}
			content, err := r.fetch(ctx, subject.repo, layer)
			if err != nil && !damaged(err) {
				return nil, err
			}
			if size += len(content); size > maxAttached {
				return nil, fmt.Errorf("more than %d bytes are attached to it", maxAttached)
			}
			all = append(all, Attachment{
				ArtifactType: artifactType,
				MediaType:    layer.MediaType,
				Name:         layer.Annotations[ocispec.AnnotationTitle],
				Content:      content,
				Annotations:  m.Annotations,
			})
		}
	}
	return all, nil
}
