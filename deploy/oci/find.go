package oci

import (
	"context"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// found is a manifest that was read from a registry.
type found struct {
	repo     repository
	desc     ocispec.Descriptor
	content  []byte
	manifest manifest
}

// find reads the manifest that a reference stands for.
func (r *Registry) find(ctx context.Context, ref Reference) (*found, error) {
	repo, err := r.open(ref.Repository)
	if err != nil {
		return nil, err
	}
	desc, err := r.resolve(ctx, repo, ref.reference())
	if err != nil {
		return nil, err
	}
	content, err := r.fetch(ctx, repo, desc)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(desc.MediaType, content)
	return &found{repo: repo, desc: desc, content: content, manifest: m}, err
}
