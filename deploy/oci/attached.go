package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/version"
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

// Subjects returns the manifests of a filter's version, one for each shape that is
// published; the artifact has to be.
func (r *Registry) Subjects(ctx context.Context, filter string, v version.Version) ([]*Subject, error) {
	var all []*Subject
	for _, shape := range Shapes {
		subject, err := r.Subject(ctx, Reference{Repository: r.name(filter), Tag: shape.tag(v.String())})
		if shape != Artifact && finding.Absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		subject.Filter, subject.Shape = filter, shape
		all = append(all, subject)
	}
	return all, nil
}

// Attached returns the files that are attached to the manifest that a reference
// stands for: see Subject.Attached.
func (r *Registry) Attached(ctx context.Context, ref Reference, prefix string) ([]Attachment, error) {
	subject, err := r.Subject(ctx, ref)
	if err != nil {
		return nil, err
	}
	return subject.Attached(ctx, prefix)
}

// maxAttached bounds what is read of what is attached to one manifest. A signature has
// some kilobytes, a bill of materials some more, and whoever may push can add to them.
const maxAttached = 64 << 20

// Attached returns the attached files of those artifact types that begin with a
// prefix. Content that is not what its descriptor says is returned as an attachment
// without content, because who asks wants to know that it is there.
func (s *Subject) Attached(ctx context.Context, prefix string) ([]Attachment, error) {
	all, err := s.attached(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("read what is attached to %s: %w", s.Reference, err)
	}
	return all, nil
}

func (s *Subject) attached(ctx context.Context, prefix string) ([]Attachment, error) {
	if err := s.list(ctx); err != nil {
		return nil, err
	}
	var all []Attachment
	size := 0
	for _, referrer := range s.referrers {
		data, err := s.r.fetch(ctx, s.repo, referrer)
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
			content, err := s.r.fetch(ctx, s.repo, layer)
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
