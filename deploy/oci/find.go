package oci

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

// found is a manifest that was read from a registry.
type found struct {
	repo     *remote.Repository
	desc     ocispec.Descriptor
	content  []byte
	manifest manifest
}

// find reads the manifest that a reference stands for. Like clients that pin digests,
// it resolves a tag and then reads the manifest by its digest.
func (r *Registry) find(ctx context.Context, ref Reference) (*found, error) {
	return r.findUnless(ctx, ref, nothing)
}

// nothing is a lookup that knows no manifest.
func nothing(digest.Digest) (wasmFacts, bool) { return wasmFacts{}, false }

// findUnless is find, but it does not fetch a manifest whose digest is known.
func (r *Registry) findUnless(ctx context.Context, ref Reference, known func(digest.Digest) (wasmFacts, bool)) (*found, error) {
	repo, err := r.open(ref.Repository)
	if err != nil {
		return nil, err
	}
	if ref.Digest != "" {
		return r.findIn(ctx, repo, ref.Digest)
	}
	f := &found{repo: repo}
	if f.desc, err = r.resolve(ctx, repo, ref.Tag); err != nil {
		return nil, err
	}
	if sent, ok := known(f.desc.Digest); ok {
		f.content = sent.manifest
	} else if f.content, err = r.fetchAnew(ctx, repo, f.desc); err != nil {
		return nil, err
	}
	f.manifest, err = parseManifest(f.desc.MediaType, f.content)
	return f, err
}

// findIn reads the manifest of a tag or digest in a repository, in one request.
func (r *Registry) findIn(ctx context.Context, repo *remote.Repository, reference string) (*found, error) {
	f := &found{repo: repo}
	err := r.do(ctx, func() error {
		desc, body, err := repo.Manifests().FetchReference(ctx, reference)
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }()
		if f.desc = desc; !isManifest(desc.MediaType) {
			return finding.Mismatch(fmt.Errorf("the registry answers with %q, which is not a manifest's media type", desc.MediaType))
		}
		if desc.Size > maxManifest {
			return finding.Mismatch(fmt.Errorf("%s has %d bytes, and no manifest has more than %d", desc.Digest, desc.Size, maxManifest))
		}
		f.content, err = content.ReadAll(body, desc)
		return err
	})
	if err != nil {
		return nil, compared(err)
	}
	f.manifest, err = parseManifest(f.desc.MediaType, f.content)
	return f, err
}
