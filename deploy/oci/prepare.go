package oci

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Prepare finds early what would otherwise stop a push after everything is built: a repository
// that cannot be written, and tags that cannot move. It changes nothing that is published: it sends
// the empty config, which Push needs anyway, and puts what the tag latest points to under that
// tag again. It does nothing for a filter whose version is published.
//
// If only tags cannot move, the error is ErrFixedTags, and Move leaves them alone from then on.
func (r *Registry) Prepare(ctx context.Context, filters []string, v version.Version) error {
	refusals := make([]error, len(filters))
	if err := concurrent.Each(parallel, filters, func(i int, filter string) (err error) {
		if refusals[i], err = r.prepare(ctx, filter, v); err != nil {
			return fmt.Errorf("%s cannot be pushed to: %w", r.name(filter), err)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, refusal := range refusals {
		if refusal != nil {
			r.fixed = true
			return refusal
		}
	}
	return nil
}

func (r *Registry) prepare(ctx context.Context, filter string, v version.Version) (refusal, err error) {
	repo, err := r.repository(filter)
	if err != nil {
		return nil, err
	}
	const last = "latest"
	latest, err := r.findIn(ctx, repo, last)
	absent := finding.Absent(err)
	if err != nil && !absent {
		return nil, err
	}
	if !absent {
		// A registry without the tag latest has at most pre-releases.
		_, err := r.resolve(ctx, repo, Artifact.tag(v.String()))
		if !finding.Absent(err) {
			return nil, err
		}
	}
	config := emptyConfig()
	if err := r.do(ctx, func() error { return r.upload(ctx, repo, config) }); err != nil {
		return nil, err
	}
	r.haveBlob(repo, config.Digest)
	if absent || r.fixed || len(v.Ranges()) == 0 {
		return nil, nil
	}
	// If somebody moves the tag between the two requests, they see it when they look again:
	// see Move.
	err = r.do(ctx, func() error {
		return repo.PushReference(ctx, latest.desc, bytes.NewReader(latest.content), last)
	})
	if err != nil && refusesToMove(err) {
		return fixedTags(err), nil
	}
	return nil, err
}

// emptyConfig is the config of the Artifact shape.
func emptyConfig() Blob { return bytesBlob(mediaTypeModuleConfig, []byte("{}")) }

// hasBlob reports whether this Registry sent a blob to a repository.
func (r *Registry) hasBlob(repo *remote.Repository, blob digest.Digest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.blobs[repo], blob)
}

func (r *Registry) haveBlob(repo *remote.Repository, blob digest.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs[repo] = append(r.blobs[repo], blob)
}
