package oci

import (
	"context"
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
	// Shape is the shape that the tag stands for.
	Shape Shape
	// Annotations are the manifest's annotations.
	Annotations map[string]string
}

// ByDigest is a reference to the manifest by its digest, which never changes.
func (m Manifest) ByDigest() Reference {
	return Reference{Repository: m.Reference.Repository, Digest: m.ManifestDigest}
}

// Subjects returns the manifests of a filter's version, one for each published shape.
// The artifact has to be published.
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

// maxAttached limits how much attached content is read for one manifest. A signature has
// some kilobytes, and a bill of materials a few more, but anybody with push access can
// add to them.
const maxAttached = 64 << 20

// Attached returns the attached files whose artifact type begins with a prefix. If
// content does not match its descriptor, the attachment is returned without content, so
// that the caller knows that it exists.
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
		m, err := s.r.referrer(ctx, s.repo, referrer)
		if err != nil {
			return nil, err
		}
		for _, layer := range m.Layers {
			if !strings.HasPrefix(m.ArtifactType, prefix) && !strings.HasPrefix(layer.MediaType, prefix) {
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
				ArtifactType: m.ArtifactType,
				MediaType:    layer.MediaType,
				Name:         layer.Annotations[ocispec.AnnotationTitle],
				Content:      content,
				Annotations:  m.Annotations,
			})
		}
	}
	return all, nil
}
