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

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
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
	if err != nil {
		return nil, fmt.Errorf("list referrers: %w", err)
	}
	if *left -= len(referrers); *left < 0 {
		return nil, fmt.Errorf("more than %d manifests are attached", maxNodes)
	}
	var nodes []Node
	for _, referrer := range referrers {
		data, err := r.fetch(ctx, repo, referrer)
		if err != nil {
			return nil, err
		}
		var m ocispec.Manifest
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, finding.Mismatch(fmt.Errorf("read manifest %s: %w", referrer.Digest, err))
		}
		// The type comes from the manifest, because registries differ in what the list
		// says.
		node := Node{ArtifactType: cmp.Or(m.ArtifactType, m.Config.MediaType), ManifestDigest: referrer.Digest.String()}
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
