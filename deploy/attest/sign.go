package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// SignOptions say what is signed, and by which signer.
type SignOptions struct {
	// Registry is where the filters are published. Default: nowhere.
	Registry *oci.Registry
	// Subjects are their manifests. Default: those that the version's tags point to; then
	// Sign also waits until the registry lists what it attached.
	Subjects []*oci.Subject
	// Modules are the modules in a storage, with the bundles that are there.
	Modules []StoredModule
	// Release is the release. It has to be the one that is published. Required.
	Release build.Release
	// Builder says who built: see FindBuilder. Required.
	Builder Builder
	// Signer says who signs.
	Signer Signer
	// Policy says which existing signatures count, so that nothing is signed twice.
	// Default: with a key, those that it made; without, none.
	Policy Policy
	// KeyFile is the file for the public key of a rehearsal. Default: none is written.
	KeyFile string
	// Played is the report of the scenarios, which have to have been played with the
	// published modules. Default: no test result is made.
	Played *scenario.Report
	// Record is the record of the release. Default: none is signed.
	Record ReleaseRecord
}

// Attached is a statement about a manifest.
type Attached struct {
	// Filter is the filter's name.
	Filter string `json:"filter"`
	// Reference is the manifest, by its digest, or the URL of a stored module.
	Reference string `json:"reference"`
	// What is the kind of statement: signature, provenance, sbom, test result or record.
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

// Signed is the result of Sign.
type Signed struct {
	// Attached are all statements that are attached now, new or not.
	Attached []Attached
	// Bundles are the new bundles to store beside the modules of the storage, by the
	// filters' names, and RecordBundles those of their records.
	Bundles, RecordBundles map[string][]byte
	// PublicKey is the public key of the signatures, as PEM; empty if they are keyless.
	PublicKey string
}

// Sign signs the published manifests of a version, in every shape. It attaches to each
// manifest the bill of materials for scanners and, as sigstore bundles, a signature, the
// provenance, the signed bill of materials and, of a filter with scenarios, the test
// result. If there is a record, that is signed as well. For stored modules it returns the bundles to store. If a record is not that of
// the published module, or a scenario failed, it refuses. A second run adds only what is
// missing.
func Sign(ctx context.Context, opts SignOptions) (signed Signed, err error) {
	given := len(opts.Subjects) > 0
	if opts.Played != nil {
		err = checkPlayed(*opts.Played, opts.Release)
	}
	if err == nil {
		opts.Subjects, err = subjectsOf(ctx, opts.Registry, opts.Subjects, opts.Release.Names(), opts.Release.Version)
	}
	if err == nil && opts.Signer.Rehearsal {
		opts.Policy, err = rehearsed(ctx, opts)
	}
	if err == nil {
		signed, err = signAll(ctx, opts)
	}
	for _, s := range opts.Subjects {
		if err == nil && !given {
			err = s.Confirm(ctx)
		}
	}
	if err == nil && opts.KeyFile != "" && opts.Signer.Rehearsal && opts.Policy.IsZero() {
		err = scratch.WriteFile(opts.KeyFile, []byte(signed.PublicKey), 0o644)
	}
	if err != nil {
		return Signed{}, fmt.Errorf("attest %s: %w", opts.Release.Version, err)
	}
	return signed, nil
}

// rehearsed returns the policy for the signatures of an earlier rehearsal, if all of
// them are there and count. Otherwise everything is signed anew, with a new key: the
// old one is gone and cannot sign what is missing.
func rehearsed(ctx context.Context, opts SignOptions) (Policy, error) {
	if opts.Policy.IsZero() {
		return Policy{}, nil
	}
	checks, err := Verify(ctx, VerifyOptions{
		Registry: opts.Registry, Subjects: opts.Subjects, Filters: opts.Release.Names(), Modules: opts.Modules, Version: opts.Release.Version, Policy: opts.Policy,
		Tested: tested(opts),
	})
	if err == nil {
		err = Undecided(checks)
	}
	if err != nil || Failed(checks) != nil || opts.Played != nil && Confirm(checks, opts.Subjects, *opts.Played) != nil || !opts.Record.signed(checks) {
		return Policy{}, err
	}
	return opts.Policy, nil
}

// tested are the filters that get a test result.
func tested(opts SignOptions) []string {
	if opts.Played == nil {
		return nil
	}
	return Tested(*opts.Played, opts.Release.Names())
}

// Describe attaches a bill of materials to the manifests of each of a release's
// filters, unsigned, where scanners look for it.
func Describe(ctx context.Context, subjects []*oci.Subject, release build.Release) error {
	for _, filter := range release.Filters {
		if _, err := oci.AttachSBOM(ctx, of(subjects, filter.Module.Name), filter, release); err != nil {
			return err
		}
	}
	return nil
}

func signAll(ctx context.Context, opts SignOptions) (signed Signed, err error) {
	request := SignRequest{Signer: opts.Signer.absolute(), Policy: opts.Policy.absolute()}
	var subjects []*oci.Subject // one for each item about a manifest
	var made []int              // the predicate of each item
	attachments := map[*oci.Subject][]oci.Attachment{}
	for _, filter := range opts.Release.Filters {
		sbom, err := oci.SBOM(filter, opts.Release)
		if err != nil {
			return signed, err
		}
		for _, s := range of(opts.Subjects, filter.Module.Name) {
			attachments[s] = []oci.Attachment{sbom}
			items, err := statements(filter, s.Manifest, opts)
			if err != nil {
				return signed, fmt.Errorf("%s: %w", s.Reference, err)
			}
			bundles, err := bundlesOf(ctx, s)
			if err != nil {
				return signed, err
			}
			for _, item := range items {
				item.Existing = bundles
				request.Items = append(request.Items, item.SignItem)
				subjects, made = append(subjects, s), append(made, item.predicate)
				signed.Attached = append(signed.Attached, Attached{Filter: filter.Module.Name, Reference: s.ByDigest().String(), What: predicates[item.predicate].name})
			}
		}
	}
	for _, m := range opts.Modules {
		i := slices.IndexFunc(opts.Release.Filters, func(f build.Built) bool { return f.Module.Name == m.Filter })
		if i < 0 || m.Err != nil || m.RecordErr != nil {
			return signed, errors.Join(fmt.Errorf("%s: what is stored beside it is not known", m.URL), m.Err, m.RecordErr)
		}
		items, err := moduleStatements(opts.Release.Filters[i], m, of(opts.Subjects, m.Filter), opts)
		if err != nil {
			return signed, err
		}
		for _, item := range items {
			request.Items, made = append(request.Items, item.SignItem), append(made, item.predicate)
			signed.Attached = append(signed.Attached, Attached{Filter: m.Filter, Reference: m.URL, What: predicates[item.predicate].name})
		}
	}
	response, err := run(ctx, Request{Sign: &request})
	if err != nil {
		return signed, err
	}
	signed.PublicKey, signed.Bundles, signed.RecordBundles = response.PublicKey, make(map[string][]byte), make(map[string][]byte)
	for i, bundle := range response.Bundles {
		if isNull(bundle) {
			signed.Attached[i].Unchanged = true
			continue
		}
		switch {
		case i < len(subjects):
			attachments[subjects[i]] = append(attachments[subjects[i]], attachment(made[i], bundle))
		case made[i] == recordItem:
			signed.RecordBundles[signed.Attached[i].Filter] = bundle
		default:
			signed.Bundles[signed.Attached[i].Filter] = bundle
		}
	}
	for _, s := range slices.Compact(subjects) {
		if _, err := s.Attach(ctx, attachments[s]...); err != nil {
			return signed, err
		}
	}
	return signed, nil
}

// subjectsOf returns the given manifests; if there are none, those that a version's
// tags point to.
func subjectsOf(ctx context.Context, r *oci.Registry, given []*oci.Subject, filters []string, v version.Version) ([]*oci.Subject, error) {
	if len(given) > 0 || r == nil {
		return given, nil
	}
	var all []*oci.Subject
	for _, filter := range filters {
		found, err := r.Subjects(ctx, filter, v)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// of returns the manifests of one filter.
func of(subjects []*oci.Subject, filter string) []*oci.Subject {
	return slices.DeleteFunc(slices.Clone(subjects), func(s *oci.Subject) bool { return s.Filter != filter })
}

// isNull reports whether there is no bundle. A RawMessage keeps JSON's null as text.
func isNull(bundle json.RawMessage) bool { return len(bundle) == 0 || string(bundle) == "null" }

// item is a statement to sign, with the index of its type among predicates.
type item struct {
	SignItem
	predicate int
}

// Indexes of predicates.
const (
	signatureItem = iota
	_
	_
	testResultItem
	recordItem
)

// statements are the statements about a manifest, in the order of predicates. The last two
// are left out if no scenario was played, and if there is no record.
func statements(filter build.Built, m oci.Manifest, opts SignOptions) ([]item, error) {
	record := filter.Module.Record
	if record.WasmSHA256 == "" || opts.Release.Revision == "" {
		return nil, errors.New("neither the module's wasm sha256 nor the release's revision may be empty")
	}
	if sum := m.Annotations[oci.AnnotationWasmSHA256]; sum != record.WasmSHA256 {
		return nil, fmt.Errorf("its wasm sha256 is %s, and the built module's is %s; build the version that is published", sum, record.WasmSHA256)
	}
	if revision := m.Annotations[ocispec.AnnotationRevision]; revision != opts.Release.Revision {
		return nil, fmt.Errorf("it was published from commit %s, and the checkout is at %s; check out the commit that is published", revision, opts.Release.Revision)
	}
	manifest := manifestResource(m)
	// The module is also a subject, so that whoever fetches it by URL can check the
	// same statement.
	subjects := []Resource{manifest, moduleResource(record)}
	provenance, err := newProvenance(filter, opts.Release, opts.Builder)
	if err != nil {
		return nil, err
	}
	sbom, err := oci.SBOM(filter, opts.Release)
	if err != nil {
		return nil, err
	}
	all := []any{struct{}{}, provenance, json.RawMessage(sbom.Content), nil, nil}
	if slices.Contains(tested(opts), record.Name) {
		all[testResultItem] = newTestResult(TestsOf(*opts.Played, record.Name), opts.Release)
	}
	if content := opts.Record.Filters[record.Name]; content != nil {
		all[recordItem] = content
	}
	var items []item
	for i, predicate := range all {
		about := subjects
		switch {
		case predicate == nil:
			continue
		case i == signatureItem:
			about = []Resource{{Digest: manifest.Digest}} // like cosign
		case i == recordItem:
			about = append(about, recordResource(opts.Record))
		}
		statement, err := newStatement(predicates[i].uri, about, predicate)
		if err != nil {
			return nil, err
		}
		items = append(items, item{SignItem{SubjectDigest: m.ManifestDigest, Statement: statement}, i})
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

func attachment(predicate int, bundle []byte) oci.Attachment {
	return oci.Attachment{
		ArtifactType: BundleMediaType,
		Name:         strings.ReplaceAll(predicates[predicate].name, " ", "-") + ".sigstore.json",
		Content:      bundle,
		Annotations: map[string]string{
			annotationContent:   "dsse-envelope",
			annotationPredicate: predicates[predicate].uri,
		},
	}
}

// bundlesOf returns the bundles that are attached to a manifest. Content that is not
// JSON becomes null, which stands for no bundle.
func bundlesOf(ctx context.Context, s *oci.Subject) ([]json.RawMessage, error) {
	attachments, err := s.Attached(ctx, BundleMediaType)
	if err != nil {
		return nil, err
	}
	bundles := make([]json.RawMessage, len(attachments))
	for i, a := range attachments {
		bundles[i] = bundleOf(a.Content)
	}
	return bundles, nil
}

func bundleOf(content []byte) json.RawMessage {
	if !json.Valid(content) {
		return json.RawMessage("null")
	}
	return content
}

// absolute makes the paths of files absolute, because the program runs in another
// folder.
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
	return file // without a working directory, opening the file reports the error
}
