package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
)

// Artifact types of what Slipway attaches.
//
// References:
//   - https://www.iana.org/assignments/media-types/application/vnd.cyclonedx+json
//   - https://github.com/in-toto/attestation/blob/main/spec/v1/bundle.md#media-type
const (
	TypeSBOM       = "application/vnd.cyclonedx+json"
	TypeProvenance = "application/vnd.in-toto+json"
	TypeTestReport = "application/vnd.slipway.test-report.v1+json"
)

// Attachment is a file that goes with a published manifest.
type Attachment struct {
	// ArtifactType says what it is: a media type, such as TypeSBOM.
	ArtifactType string
	// MediaType is the file's media type. Default: ArtifactType.
	MediaType string
	// Name is the file's name.
	Name string
	// Content is what is in the file, at most 4 MiB.
	Content []byte
	// Created is when the content was made. Default: the time of the subject's
	// commit. It is a part of the attachment's digest.
	Created time.Time
	// Annotations are those of its manifest, besides the time when it was made.
	Annotations map[string]string
}

// mediaTypeRule is RFC 6838's: a type and a subtype of up to 127 characters each.
//
// Reference: https://www.rfc-editor.org/rfc/rfc6838#section-4.2
var mediaTypeRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$`)

// Attach publishes a file as a referrer of the manifest that a reference stands
// for, and returns it. Attaching the same again changes nothing.
//
// Where the registry has no referrers API, the list of referrers is an index under
// a tag that is made of the subject's digest, which others may write at the same
// time. Attach looks again after it has written, and writes again, on top of
// theirs, until its own entry stays.
//
// References:
//   - https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
//   - https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func Attach(ctx context.Context, r *Registry, ref Reference, attachment Attachment) (*Node, error) {
	node, err := r.attach(ctx, ref, attachment)
	if err != nil {
		return nil, fmt.Errorf("attach %s to %s: %w", attachment.ArtifactType, ref, err)
	}
	return node, nil
}

func (r *Registry) attach(ctx context.Context, ref Reference, a Attachment) (*Node, error) {
	if a.MediaType == "" {
		a.MediaType = a.ArtifactType
	}
	for _, mediaType := range []string{a.ArtifactType, a.MediaType} {
		if !mediaTypeRule.MatchString(mediaType) {
			return nil, fmt.Errorf("%q is no media type; write one such as %s", mediaType, TypeSBOM)
		}
	}
	if len(a.Content) > maxManifest {
		return nil, fmt.Errorf("the file has %d bytes, and an attachment may have %d", len(a.Content), maxManifest)
	}
	subject, err := r.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	created := subject.manifest.Annotations[ocispec.AnnotationCreated]
	if !a.Created.IsZero() {
		created = a.Created.UTC().Format(time.RFC3339)
	}
	image, err := attachmentImage(a, subject.desc, created)
	if err != nil {
		return nil, err
	}
	if err := r.sendReferrer(ctx, subject, image); err != nil {
		return nil, err
	}
	return &Node{ArtifactType: a.ArtifactType, ManifestDigest: image.Descriptor.Digest.String(), Files: []string{a.Name}}, nil
}

// attachmentImage is the manifest of an attachment.
//
// Reference: https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage
func attachmentImage(a Attachment, subject ocispec.Descriptor, created string) (*Image, error) {
	config := bytesBlob(ocispec.MediaTypeEmptyJSON, ocispec.DescriptorEmptyJSON.Data)
	layer := bytesBlob(a.MediaType, a.Content)
	layer.Annotations = title(a.Name)
	manifest := ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: a.ArtifactType,
		Config:       config.Descriptor,
		Layers:       []ocispec.Descriptor{layer.Descriptor},
		Subject:      &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
	}
	manifest.Annotations = maps.Clone(a.Annotations)
	if created != "" {
		if manifest.Annotations == nil {
			manifest.Annotations = map[string]string{}
		}
		manifest.Annotations[ocispec.AnnotationCreated] = created
	}
	content, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	return &Image{
		Descriptor: describe(ocispec.MediaTypeImageManifest, content),
		Manifest:   content,
		Blobs:      []Blob{config, layer},
	}, nil
}

// maxRounds bounds how often an entry is written anew because others overwrote it.
// Each round leaves at least one more of those that write at the same time in
// place.
const maxRounds = 50

// sendReferrer sends an attachment and makes sure that it is listed.
func (r *Registry) sendReferrer(ctx context.Context, subject *found, image *Image) error {
	for _, blob := range image.Blobs {
		if err := r.sendBlob(ctx, subject.repo, blob, ""); err != nil {
			return err
		}
	}
	for range maxRounds {
		start := time.Now()
		// Looking first tells the client whether there is an API.
		if listed, err := r.isReferrer(ctx, subject, image); listed || err != nil {
			return err
		}
		// Without an API, oras-go adds the manifest to the index as well.
		if err := r.do(ctx, func() error {
			return subject.repo.Push(ctx, image.Descriptor, bytes.NewReader(image.Manifest))
		}); err != nil {
			return fmt.Errorf("send the manifest: %w", err)
		}
		if remote, ok := subject.repo.(*remote.Repository); ok && remote.SetReferrersCapability(true) != nil {
			// It is known to have no API.
			if err := immutable.Settle(ctx, immutable.Settled(start)); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("its entry among the referrers was overwritten %d times; run this again when others are done", maxRounds)
}

// isReferrer reports whether the registry lists an attachment.
func (r *Registry) isReferrer(ctx context.Context, subject *found, image *Image) (bool, error) {
	referrers, err := r.referrers(ctx, subject.repo, subject.desc)
	return slices.ContainsFunc(referrers, func(d ocispec.Descriptor) bool { return d.Digest == image.Descriptor.Digest }), err
}
