package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/oci"
)

// Filter is a filter as it was built, and where its source is.
type Filter struct {
	oci.Filter
	// Dir is the folder of its source, from whose go.sum the modules' digests are.
	// Default: none are given.
	Dir string
}

// SignOptions say what is signed, and by whom.
type SignOptions struct {
	// Registry is where the filters are published. Required.
	Registry *oci.Registry
	// Filters are the filters as they were built, which has to be what is
	// published. Required.
	Filters []Filter
	// Release is the release, as it was for oci.Push. Required.
	Release oci.Release
	// Builder is who built. Required: FindBuilder.
	Builder Builder
	// Signer is who signs.
	Signer Signer
	// Policy says which signatures that exist count, so that nothing is signed
	// twice. Default: with a key, those that it made; without, none.
	Policy Policy
}

// Attached is a statement about a manifest.
type Attached struct {
	// Filter is the filter's name.
	Filter string `json:"filter"`
	// Reference is the manifest, by its digest.
	Reference string `json:"reference"`
	// What is said: signature, provenance or sbom.
	What string `json:"what"`
	// Unchanged says that it was there already.
	Unchanged bool `json:"unchanged,omitempty"`
}

// String is one line for people.
func (a Attached) String() string {
	if a.Unchanged {
		return fmt.Sprintf("%s of %s was there already", a.What, a.Reference)
	}
	return fmt.Sprintf("%s of %s", a.What, a.Reference)
}

// Signed is what Sign did.
type Signed struct {
	// Attached is everything that is said now.
	Attached []Attached
	// PublicKey is that of the key that signed, as PEM; empty if it was keyless.
	PublicKey string
}

// Sign signs what is published of a version, in every shape: it attaches a
// signature, the provenance and the bill of materials to each manifest, as sigstore
// bundles. It refuses to describe a module by the record of another one. Signing
// again adds only what is missing.
func Sign(ctx context.Context, opts SignOptions) (Signed, error) {
	signed, err := signAll(ctx, opts)
	if err != nil {
		return Signed{}, fmt.Errorf("attest %s: %w", opts.Release.Version, err)
	}
	return signed, nil
}

func signAll(ctx context.Context, opts SignOptions) (signed Signed, err error) {
	if strings.HasPrefix(opts.Registry.Address(), oci.LayoutScheme) {
		return signed, fmt.Errorf("signatures belong to what a registry publishes: %s is %w", opts.Registry.Address(), oci.ErrLayout)
	}
	request := SignRequest{Signer: opts.Signer.absolute(), Policy: opts.Policy.absolute()}
	var manifests []oci.Manifest // one for each item
	for _, filter := range opts.Filters {
		found, err := oci.Manifests(ctx, opts.Registry, filter.Module.Name, opts.Release.Version)
		if err != nil {
			return signed, err
		}
		for _, m := range found {
			items, err := statements(filter, m, opts)
			if err != nil {
				return signed, fmt.Errorf("%s: %w", m.Reference, err)
			}
			bundles, err := bundlesOf(ctx, opts.Registry, m)
			if err != nil {
				return signed, err
			}
			for i, item := range items {
				item.Existing = bundles
				request.Items = append(request.Items, item)
				manifests = append(manifests, m)
				signed.Attached = append(signed.Attached, Attached{Filter: filter.Module.Name, Reference: m.ByDigest().String(), What: predicates[i].name})
			}
		}
	}
	response, err := run(ctx, Request{Sign: &request})
	if err != nil {
		return signed, err
	}
	signed.PublicKey = response.PublicKey
	for i, bundle := range response.Bundles {
		if isNull(bundle) {
			signed.Attached[i].Unchanged = true
			continue
		}
		if err := attach(ctx, opts.Registry, manifests[i], i%len(predicates), bundle); err != nil {
			return signed, err
		}
	}
	return signed, nil
}

// isNull reports whether there is no bundle: null in JSON stays null in a
// RawMessage.
func isNull(bundle json.RawMessage) bool { return len(bundle) == 0 || string(bundle) == "null" }

// statements are what is said about a manifest, in the order of predicates.
func statements(filter Filter, m oci.Manifest, opts SignOptions) ([]SignItem, error) {
	record := filter.Module.Record
	if record.WasmSHA256 == "" || opts.Release.Revision == "" {
		return nil, errors.New("neither the module's wasm sha256 nor the release's revision may be empty")
	}
	if sum := m.Annotations[oci.AnnotationWasmSHA256]; sum != record.WasmSHA256 {
		return nil, fmt.Errorf("its wasm sha256 is %s, and the built module's is %s; build the version that is published", sum, record.WasmSHA256)
	}
	if revision := m.Annotations[ocispec.AnnotationRevision]; revision != opts.Release.Revision {
		return nil, fmt.Errorf("it was published from commit %s, and checked out is %s; check out the commit that is published", revision, opts.Release.Revision)
	}
	algorithm, value, _ := strings.Cut(m.ManifestDigest, ":")
	manifest := map[string]string{algorithm: value}
	// The module is a subject too, so that those who fetch it by URL can check
	// the same statement.
	subjects := []Resource{
		{Name: m.Reference.Repository, Digest: manifest},
		{Name: record.Name + ".wasm", Digest: map[string]string{"sha256": record.WasmSHA256}},
	}
	provenance, err := newProvenance(filter, opts.Release, opts.Builder)
	if err != nil {
		return nil, err
	}
	sbom, err := oci.SBOM(filter.Filter, opts.Release)
	if err != nil {
		return nil, err
	}
	items := make([]SignItem, len(predicates))
	for i, predicate := range []any{struct{}{}, provenance, json.RawMessage(sbom.Content)} {
		about := subjects
		if predicates[i].uri == PredicateSignature {
			about = []Resource{{Digest: manifest}} // as cosign has it
		}
		items[i] = SignItem{ManifestDigest: m.ManifestDigest}
		if items[i].Statement, err = newStatement(predicates[i].uri, about, predicate); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// Annotations of a bundle's manifest.
//
// Reference: https://github.com/sigstore/cosign/blob/v3.1.3/specs/BUNDLE_SPEC.md
const (
	annotationContent   = "dev.sigstore.bundle.content"
	annotationPredicate = "dev.sigstore.bundle.predicateType"
)

func attach(ctx context.Context, r *oci.Registry, m oci.Manifest, predicate int, bundle []byte) error {
	_, err := oci.Attach(ctx, r, m.ByDigest(), oci.Attachment{
		ArtifactType: BundleMediaType,
		Name:         predicates[predicate].name + ".sigstore.json",
		Content:      bundle,
		Annotations: map[string]string{
			annotationContent:   "dsse-envelope",
			annotationPredicate: predicates[predicate].uri,
		},
	})
	return err
}

// bundlesOf returns the bundles that are attached to a manifest. What is no JSON
// takes part as null, which is no bundle.
func bundlesOf(ctx context.Context, r *oci.Registry, m oci.Manifest) ([]json.RawMessage, error) {
	attachments, err := oci.Attached(ctx, r, m.ByDigest(), BundleMediaType)
	if err != nil {
		return nil, err
	}
	bundles := make([]json.RawMessage, len(attachments))
	for i, a := range attachments {
		bundles[i] = json.RawMessage("null")
		if json.Valid(a.Content) {
			bundles[i] = a.Content
		}
	}
	return bundles, nil
}

// absolute lets files be found from the program's folder.
func (s Signer) absolute() Signer {
	s.Key, s.TrustedRoot = absolute(s.Key), absolute(s.TrustedRoot)
	return s
}

func (p Policy) absolute() Policy {
	p.Key, p.TrustedRoot = absolute(p.Key), absolute(p.TrustedRoot)
	return p
}

func absolute(file string) string {
	if file == "" || strings.Contains(file, "://") {
		return file
	}
	if abs, err := filepath.Abs(file); err == nil {
		return abs
	}
	return file // without a working directory, opening it says so
}
