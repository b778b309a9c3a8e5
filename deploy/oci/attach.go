package oci

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
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

// Attachment is a file that is attached to a published manifest.
type Attachment struct {
	// ArtifactType says what it is: a media type, such as TypeSBOM.
	ArtifactType string
	// MediaType is the file's media type. Default: ArtifactType.
	MediaType string
	// Name is the file's name.
	Name string
	// Content is the file's content, at most 4 MiB.
	Content []byte
	// Created is when the content was made. Default: the time of the subject's
	// commit. It is a part of the attachment's digest.
	Created time.Time
	// Annotations are its manifest's annotations, besides the time when it was made.
	Annotations map[string]string
}

// mediaTypeRule is RFC 6838's: a type and a subtype of up to 127 characters each.
//
// Reference: https://www.rfc-editor.org/rfc/rfc6838#section-4.2
var mediaTypeRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$`)

// Attach publishes a file as a referrer of the manifest that a reference stands for,
// and returns the new node: see Subject.Attach.
func (r *Registry) Attach(ctx context.Context, ref Reference, attachment Attachment) (*Node, error) {
	subject, err := r.Subject(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("attach %s to %s: %w", attachment.ArtifactType, ref, err)
	}
	nodes, err := subject.Attach(ctx, attachment)
	if err == nil {
		err = subject.Confirm(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &nodes[0], nil
}

// Subject is a manifest that others, its referrers, are attached to. They are listed
// only once.
type Subject struct {
	Manifest
	// Filter is the filter's name; empty if the subject was opened by a reference.
	Filter string

	r         *Registry
	repo      *remote.Repository
	desc      ocispec.Descriptor
	listed    bool
	referrers []ocispec.Descriptor
	noIndex   error // why the index of referrers cannot be written
}

// Subject reads the manifest that a reference stands for. If there is none, the error
// is errdef.ErrNotFound.
func (r *Registry) Subject(ctx context.Context, ref Reference) (*Subject, error) {
	repo, err := r.open(ref.Repository)
	if err != nil {
		return nil, err
	}
	found, err := r.findIn(ctx, repo, ref.reference())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return r.subject(ref, found), nil
}

func (r *Registry) subject(ref Reference, found *found) *Subject {
	r.haveBlob(found.repo, found.manifest.Config.Digest)
	return &Subject{
		Manifest: Manifest{
			Reference:      ref,
			ManifestDigest: found.desc.Digest.String(),
			Shape:          found.manifest.shape(),
			Annotations:    found.manifest.Annotations,
		},
		r: r, repo: found.repo, desc: found.desc,
	}
}

// SubjectOf returns the manifest that Push published, without reading it again.
func (r *Registry) SubjectOf(p Published) (*Subject, error) {
	repo, err := r.open(p.Repository)
	if err != nil {
		return nil, err
	}
	r.haveBlob(repo, p.image.Blobs[0].Digest)
	return &Subject{
		Manifest: Manifest{
			Reference:      Reference{Repository: p.Repository, Tag: p.Tag},
			ManifestDigest: p.ManifestDigest,
			Shape:          p.Shape,
			Annotations:    p.image.Annotations,
		},
		Filter: p.Filter,
		r:      r, repo: repo, desc: p.image.Descriptor,
	}, nil
}

// list lists the referrers, unless that was done before.
func (s *Subject) list(ctx context.Context) error {
	if s.listed {
		return nil
	}
	all, err := s.r.referrers(ctx, s.repo, s.desc)
	s.noIndex = nil
	if errors.As(err, new(*noIndexError)) {
		s.noIndex, err = err, nil
	}
	if err == nil {
		s.listed, s.referrers = true, all
	}
	return err
}

func (s *Subject) has(image *Image) bool {
	return contains(s.referrers, image.Descriptor.Digest)
}

func contains(all []ocispec.Descriptor, one digest.Digest) bool {
	return slices.ContainsFunc(all, func(d ocispec.Descriptor) bool { return d.Digest == one })
}

// Attach publishes files as referrers of the manifest, and returns them. Attaching
// the same again changes nothing.
//
// A registry without the referrers API keeps the list of referrers in an index, under a
// tag that is made of the subject's digest. Attach writes it once, when all files are
// there. Others may write that index at the same time. So Attach reads it again after
// each write, and adds its own entries to theirs until they stay.
//
// References:
//   - https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
//   - https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func (s *Subject) Attach(ctx context.Context, attachments ...Attachment) ([]Node, error) {
	nodes := make([]Node, len(attachments))
	images := make([]*Image, len(attachments))
	for i, a := range attachments {
		var err error
		if images[i], err = s.image(a); err != nil {
			return nil, fmt.Errorf("attach %s to %s: %w", a.ArtifactType, s.Reference, err)
		}
		nodes[i] = Node{ArtifactType: a.ArtifactType, ManifestDigest: images[i].Descriptor.Digest.String(), Files: []string{a.Name}}
	}
	if err := s.send(ctx, images); err != nil {
		return nil, fmt.Errorf("attach to %s: %w", s.Reference, err)
	}
	return nodes, nil
}

// image builds the manifest of an attachment to this subject.
func (s *Subject) image(a Attachment) (*Image, error) {
	a.MediaType = cmp.Or(a.MediaType, a.ArtifactType)
	for _, mediaType := range []string{a.ArtifactType, a.MediaType} {
		if !mediaTypeRule.MatchString(mediaType) {
			return nil, fmt.Errorf("%q is not a media type; write one such as %s", mediaType, TypeSBOM)
		}
	}
	if len(a.Content) > maxManifest {
		return nil, fmt.Errorf("the file has %d bytes, and an attachment may have %d", len(a.Content), maxManifest)
	}
	created := s.Annotations[ocispec.AnnotationCreated]
	if !a.Created.IsZero() {
		created = a.Created.UTC().Format(time.RFC3339)
	}
	return attachmentImage(a, s.desc, created)
}

// attachmentImage builds the manifest of an attachment.
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
	desc := describe(ocispec.MediaTypeImageManifest, content)
	desc.ArtifactType, desc.Annotations = manifest.ArtifactType, manifest.Annotations // as an index lists it
	return &Image{
		Descriptor: desc,
		Manifest:   content,
		Blobs:      []Blob{config, layer},
	}, nil
}

// maxRounds limits how often an entry is written again because others overwrote it. Of
// several clients that write at the same time, at least one more is done after each
// round.
const maxRounds = 50

// send sends attachments and makes sure that they are listed.
func (s *Subject) send(ctx context.Context, images []*Image) error {
	for range maxRounds {
		// Listing tells the client whether there is a referrers API.
		if err := s.list(ctx); err != nil {
			return err
		}
		missing := slices.DeleteFunc(slices.Clone(images), s.has)
		if len(missing) == 0 {
			return nil
		}
		if s.noIndex != nil {
			return fmt.Errorf("%w; nothing can be attached there: it needs a registry that lists referrers, or that lets this tag be written", s.noIndex)
		}
		for _, image := range missing {
			if err := s.sendOne(ctx, image); err != nil {
				return err
			}
		}
		if !s.r.usesIndex(s.repo) {
			// Whoever lists the referrers next makes sure that these are among them.
			for _, image := range missing {
				s.referrers = append(s.referrers, image.Descriptor)
				s.r.expect(s.desc.Digest, image.Descriptor.Digest)
			}
			return nil
		}
		start := time.Now()
		if err := s.addToIndex(ctx, missing); err != nil {
			return err
		}
		if err := immutable.Settle(ctx, immutable.Settled(start)); err != nil {
			return err
		}
		if overwritten, err := s.await(ctx, images); !overwritten || err != nil {
			return err
		}
	}
	return fmt.Errorf("its entry among the referrers was overwritten %d times; run this again when others are done", maxRounds)
}

// addToIndex adds attachments to the index of the subject's referrers. Each try reads the index
// anew.
func (s *Subject) addToIndex(ctx context.Context, images []*Image) error {
	err := s.r.do(ctx, func() error {
		index, err := s.r.readIndex(ctx, s.repo, s.desc.Digest)
		if err != nil && !errors.Is(err, errdef.ErrNotFound) {
			return err
		}
		index.SchemaVersion, index.MediaType = 2, ocispec.MediaTypeImageIndex
		for _, image := range images {
			if !contains(index.Manifests, image.Descriptor.Digest) {
				index.Manifests = append(index.Manifests, image.Descriptor)
			}
		}
		content, err := json.Marshal(index)
		if err != nil {
			return err
		}
		return s.repo.PushReference(ctx, describe(index.MediaType, content), bytes.NewReader(content), indexTag(s.desc.Digest))
	})
	if err != nil {
		return fmt.Errorf("write the index of referrers: %w", err)
	}
	return nil
}

// listTries are the looks at a list that is late: with the growing pauses of a retry.Policy
// they take about a minute. Docker Hub needs seconds.
const listTries = 7

// await waits until attachments are listed. It returns true if others wrote the fallback tag
// meanwhile and left out what was sent.
func (s *Subject) await(ctx context.Context, images []*Image) (overwritten bool, err error) {
	before := s.referrers
	err = s.r.patiently(ctx, func() (missing digest.Digest, err error) {
		s.listed = false
		if err := s.list(ctx); err != nil {
			return "", err
		}
		for _, image := range images {
			if s.has(image) {
				continue
			}
			if overwritten = !reflect.DeepEqual(s.referrers, before); overwritten {
				return "", nil
			}
			return image.Descriptor.Digest, nil
		}
		return "", nil
	})
	return overwritten, err
}

// patiently looks at a list until nothing is missing in it.
func (r *Registry) patiently(ctx context.Context, look func() (missing digest.Digest, err error)) error {
	policy := r.policy
	policy.Tries = listTries
	var failed error
	if err := policy.Do(ctx, func() error {
		var missing digest.Digest
		// A failed look has been tried again already.
		if missing, failed = look(); failed == nil && missing != "" {
			return retry.Again(fmt.Errorf("%s was sent, and the registry does not list it among the referrers, late or never; nothing is lost: run this again later", missing))
		}
		return nil
	}); err != nil {
		return err
	}
	return failed
}

// expect makes listing the referrers of a manifest wait for one that was sent.
func (r *Registry) expect(subject, referrer digest.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent[subject] = append(r.sent[subject], referrer)
}

// expected returns a referrer that was sent and is not in a list; empty if there is none.
func (r *Registry) expected(subject digest.Digest, listed []ocispec.Descriptor) digest.Digest {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, referrer := range r.sent[subject] {
		if !contains(listed, referrer) {
			return referrer
		}
	}
	delete(r.sent, subject)
	return ""
}

// Confirm makes sure that the manifest's referrers are listed, if any were sent since they
// were listed. Some registries list them seconds later. Confirm waits for about a minute.
func (s *Subject) Confirm(ctx context.Context) error {
	s.r.mu.Lock()
	sent := len(s.r.sent[s.desc.Digest])
	s.r.mu.Unlock()
	if sent == 0 {
		return nil
	}
	s.listed = false
	if err := s.list(ctx); err != nil {
		return fmt.Errorf("attach to %s: %w", s.Reference, err)
	}
	return nil
}

// sendOne sends an attachment.
func (s *Subject) sendOne(ctx context.Context, image *Image) error {
	for _, blob := range image.Blobs {
		if s.r.hasBlob(s.repo, blob.Digest) {
			continue
		}
		if err := s.r.do(ctx, func() error { return s.r.upload(ctx, s.repo, blob) }); err != nil {
			return err
		}
		if data, err := blob.read(); err == nil {
			s.r.keep(ctx, blob.Descriptor, data)
		}
		s.r.haveBlob(s.repo, blob.Digest)
	}
	if err := s.r.do(ctx, func() error {
		return s.repo.Push(ctx, image.Descriptor, bytes.NewReader(image.Manifest))
	}); err != nil {
		return fmt.Errorf("send the manifest: %w", err)
	}
	s.r.keep(ctx, image.Descriptor, image.Manifest)
	return nil
}
