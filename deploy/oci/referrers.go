package oci

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
)

// Node is an attached manifest, with the manifests that are attached to it.
type Node struct {
	// ArtifactType says what it is, for example "application/vnd.cyclonedx+json".
	ArtifactType string `json:"artifactType"`
	// ManifestDigest is the digest of its manifest, "sha256:…".
	ManifestDigest string `json:"manifestDigest"`
	// Files are the names of its layers, where they have one.
	Files []string `json:"files,omitempty"`
	// Referrers is what is attached to this manifest.
	Referrers []Node `json:"referrers,omitempty"`
}

// String is one line for people.
func (n Node) String() string {
	return printable.Text(strings.Join(append(append([]string{n.ArtifactType}, n.Files...), n.ManifestDigest), " "))
}

// Discover lists what is attached to the manifest that a reference stands for, as a
// tree, ordered by artifact type and digest.
func (r *Registry) Discover(ctx context.Context, ref Reference) ([]Node, error) {
	found, err := r.find(ctx, ref)
	if err == nil {
		var tree []Node
		if tree, err = r.tree(ctx, found.repo, found.desc); err == nil {
			return tree, nil
		}
	}
	return nil, fmt.Errorf("discover what is attached to %s: %w", ref, err)
}

// Limits of a tree's depth and number of nodes. Signatures of attestations have depth
// 2. Without a limit, a registry that lists the same manifests over and over could keep
// a reader busy for ever.
const (
	maxDepth = 8
	maxNodes = 10_000
)

func (r *Registry) tree(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) ([]Node, error) {
	left := maxNodes
	return r.branch(ctx, repo, desc, 0, &left)
}

func (r *Registry) branch(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, depth int, left *int) ([]Node, error) {
	if depth == maxDepth {
		return nil, finding.Mismatch(fmt.Errorf("more than %d manifests are attached to each other in a row", maxDepth))
	}
	referrers, err := r.referrers(ctx, repo, desc)
	if err != nil && !errors.As(err, new(*noIndexError)) {
		return nil, fmt.Errorf("list referrers: %w", err)
	}
	if *left -= len(referrers); *left < 0 {
		return nil, fmt.Errorf("more than %d manifests are attached", maxNodes)
	}
	var nodes []Node
	for _, referrer := range referrers {
		m, err := r.referrer(ctx, repo, referrer)
		if err != nil {
			return nil, err
		}
		node := Node{ArtifactType: m.ArtifactType, ManifestDigest: referrer.Digest.String()}
		for _, layer := range m.Layers {
			if name := layer.Annotations[ocispec.AnnotationTitle]; name != "" {
				node.Files = append(node.Files, name)
			}
		}
		if node.Referrers, err = r.branch(ctx, repo, referrer, depth+1, left); err != nil {
			return nil, err
		}
		nodes = append(nodes, node)
	}
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(a.ArtifactType, b.ArtifactType), cmp.Compare(a.ManifestDigest, b.ManifestDigest))
	})
	return nodes, nil
}

// referrer reads the manifest of a referrer. Its artifact type is that of the manifest: registries
// differ in what their lists say, and some leave it out.
func (r *Registry) referrer(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) (m ocispec.Manifest, err error) {
	data, err := r.fetch(ctx, repo, desc)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, finding.Mismatch(fmt.Errorf("read manifest %s: %w", desc.Digest, err))
	}
	m.ArtifactType = cmp.Or(m.ArtifactType, m.Config.MediaType)
	return m, nil
}

// listReferrers asks the referrers API; of a registry that has none, it reads the index.
func (r *Registry) listReferrers(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) (all []ocispec.Descriptor, err error) {
	err = r.do(ctx, func() error {
		all = nil
		if !r.usesIndex(repo) {
			err := repo.Referrers(ctx, desc, "", func(page []ocispec.Descriptor) error {
				if all = append(all, page...); len(all) > maxListed {
					return fmt.Errorf("the registry lists more than %d referrers", maxListed)
				}
				return nil
			})
			if !errors.Is(err, errdef.ErrUnsupported) {
				return err
			}
			r.mu.Lock()
			r.index[repo] = true
			r.mu.Unlock()
		}
		index, err := r.readIndex(ctx, repo, desc.Digest)
		all = index.Manifests
		return err
	})
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, nil
	}
	return all, err
}

// usesIndex reports whether a repository's referrers are listed in an index, because the
// registry has no referrers API. Listing finds that out.
func (r *Registry) usesIndex(repo *remote.Repository) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.index[repo]
}

// indexTag is the tag of the index that lists a manifest's referrers.
//
// Reference: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func indexTag(subject digest.Digest) string {
	return strings.Replace(subject.String(), ":", "-", 1)
}

// noIndexError says that the tag of an index stands for something else. GitLab resolves it as
// the digest that it is made of.
type noIndexError struct {
	tag  string
	desc ocispec.Descriptor
}

func (e *noIndexError) Error() string {
	return fmt.Sprintf("tag %s, which is to list what is attached, is no index: the registry resolves it to %s", e.tag, e.desc.Digest)
}

// readIndex reads the index of a manifest's referrers.
func (r *Registry) readIndex(ctx context.Context, repo *remote.Repository, subject digest.Digest) (index ocispec.Index, err error) {
	tag := indexTag(subject)
	desc, body, err := repo.FetchReference(ctx, tag)
	if err != nil {
		return index, err
	}
	defer func() { _ = body.Close() }()
	if desc.MediaType != ocispec.MediaTypeImageIndex {
		return index, &noIndexError{tag, desc}
	}
	if desc.Size > maxManifest {
		return index, finding.Mismatch(fmt.Errorf("%s has %d bytes, and no manifest has more than %d", desc.Digest, desc.Size, maxManifest))
	}
	data, err := content.ReadAll(body, desc)
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	return index, err
}

// Tree is what is attached to one manifest.
type Tree struct {
	// Reference is the manifest, as it was asked for.
	Reference string `json:"reference"`
	// Referrers is what is attached.
	Referrers []Node `json:"referrers"`
}

// Text is the tree for people.
func (t Tree) Text(w io.Writer) error {
	return errors.Join(printable.Fprintln(w, t.Reference), writeTree(w, t.Referrers, ""))
}

func writeTree(w io.Writer, nodes []Node, indent string) error {
	for i, node := range nodes {
		branch, below := "├── ", "│   "
		if i == len(nodes)-1 {
			branch, below = "└── ", "    "
		}
		if err := errors.Join(printable.Fprintf(w, indent+branch+"%s\n", node), writeTree(w, node.Referrers, indent+below)); err != nil {
			return err
		}
	}
	return nil
}
