package oci

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Listed is one published version of a filter in one shape.
type Listed struct {
	// Filter is the filter's name.
	Filter string `json:"filter"`
	// Version is the version, for example "1.4.0".
	Version string `json:"version"`
	// Shape is the manifest's form.
	Shape Shape `json:"shape"`
	// Tag is the version's tag.
	Tag string `json:"tag"`
	// Moving are the moving tags that point to the same manifest.
	Moving []string `json:"moving,omitempty"`
	// ManifestDigest is the manifest digest, "sha256:…".
	ManifestDigest string `json:"manifestDigest"`
	// WasmSHA256 is the sha256 of the module according to the manifest, in hex.
	WasmSHA256 string `json:"wasmSha256,omitempty"`
	// Size is the number of bytes that a consumer downloads: the manifest's blobs, each
	// once.
	Size int64 `json:"size"`
	// Created is the time of the version's commit, in RFC 3339's format.
	Created string `json:"created,omitempty"`
}

// List returns the published versions of filters, in the order of the filters as given.
// Within a filter, the newest version comes first, and its shapes are in the order of
// Shapes. A filter that was never published has none.
func (r *Registry) List(ctx context.Context, filters []string) ([]Listed, error) {
	all := make([][]Listed, len(filters))
	err := concurrent.Each(parallel, filters, func(i int, filter string) (err error) {
		if all[i], err = r.list(ctx, filter); err != nil {
			return fmt.Errorf("list %s: %w", r.name(filter), err)
		}
		return nil
	})
	return slices.Concat(all...), err
}

func (r *Registry) list(ctx context.Context, filter string) ([]Listed, error) {
	repo, err := r.repository(filter)
	if err != nil {
		return nil, err
	}
	tags, err := r.tags(ctx, repo)
	if err != nil {
		return nil, err
	}
	var list []Listed
	moving := make(map[string][]string) // by digest
	byTag := make(map[string]version.Version)
	for _, tag := range tags {
		kind, ok := parseTag(tag)
		if !ok {
			continue
		}
		if kind.version.IsZero() {
			desc, err := r.resolve(ctx, repo, tag)
			if err != nil && !finding.Absent(err) {
				return nil, err
			}
			moving[desc.Digest.String()] = append(moving[desc.Digest.String()], tag)
			continue
		}
		found, err := r.findIn(ctx, repo, tag)
		if finding.Absent(err) {
			continue // deleted since the tags were listed
		}
		if err != nil {
			return nil, fmt.Errorf("read the manifest of %s: %w", tag, err)
		}
		m := found.manifest.Manifest
		byTag[tag] = kind.version
		list = append(list, Listed{
			Filter:         filter,
			Version:        kind.version.String(),
			Shape:          kind.shape,
			Tag:            tag,
			ManifestDigest: found.desc.Digest.String(),
			WasmSHA256:     m.Annotations[AnnotationWasmSHA256],
			Size:           downloadSize(m),
			Created:        m.Annotations[ocispec.AnnotationCreated],
		})
	}
	for i := range list {
		list[i].Moving = slices.Sorted(slices.Values(moving[list[i].ManifestDigest]))
	}
	slices.SortFunc(list, func(a, b Listed) int {
		if order := byTag[b.Tag].Compare(byTag[a.Tag]); order != 0 {
			return order
		}
		return slices.Index(Shapes, a.Shape) - slices.Index(Shapes, b.Shape)
	})
	return list, nil
}

func downloadSize(m ocispec.Manifest) int64 {
	seen := make(map[string]bool)
	var size int64
	for _, blob := range append([]ocispec.Descriptor{m.Config}, m.Layers...) {
		if !seen[blob.Digest.String()] {
			seen[blob.Digest.String()] = true
			size += blob.Size
		}
	}
	return size
}

// WriteList writes a list as a table for people.
func WriteList(w io.Writer, list []Listed) error {
	table := printable.NewTable(w)
	table.Row("FILTER", "TAG", "ALSO", "SIZE", "CREATED", "MANIFEST DIGEST")
	for _, l := range list {
		table.Row(l.Filter, l.Tag, strings.Join(l.Moving, ","), fmt.Sprint(l.Size), l.Created, l.ManifestDigest)
	}
	return table.Flush()
}
