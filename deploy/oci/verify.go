package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Verification is what a registry holds under a reference.
type Verification struct {
	// Reference is what was verified, as it was asked for.
	Reference string `json:"reference"`
	// ManifestDigest is the manifest digest, "sha256:…".
	ManifestDigest string `json:"manifestDigest"`
	// Shape is the manifest's form; empty if it is none of Slipway's.
	Shape Shape `json:"shape,omitempty"`
	// WasmSHA256 is the sha256 of the module, in hex; empty if none was found.
	WasmSHA256 string `json:"wasmSha256,omitempty"`
	// WasmSize is the module's size in bytes.
	WasmSize int64 `json:"wasmSize,omitempty"`
	// ABI and EnvoyMin are what the module's inspection found: see inspect.Report.
	ABI      string `json:"abi,omitempty"`
	EnvoyMin string `json:"envoyMin,omitempty"`
	// Annotations are the manifest's annotations.
	Annotations map[string]string `json:"annotations,omitempty"`
	// Consumers is what each consumer does with it.
	Consumers []Verdict `json:"consumers"`
	// Referrers is what is attached to it.
	Referrers []Node `json:"referrers,omitempty"`
	// ReferrersUnknown says why the registry's list of what is attached could not be read;
	// empty if it could. The manifest can be right without.
	ReferrersUnknown string `json:"referrersUnknown,omitempty"`
	// Problems says what is wrong, one line each; empty if nothing is.
	Problems []string `json:"problems,omitempty"`

	subject *Subject
}

// Subject is the manifest that was verified, for what is attached to it: the one that was
// read, wherever its tag points by now.
func (v *Verification) Subject() *Subject { return v.subject }

// ErrProblems is in the chain of Verification.Err.
var ErrProblems = errors.New("verification failed")

// Err names all problems; it is nil if there are none.
func (v *Verification) Err() error {
	if len(v.Problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", v.Reference, ErrProblems, strings.Join(v.Problems, "; "))
}

// Verify reads everything that a reference stands for, from the registry only. It
// checks the manifest, its blobs' digests and sizes, its annotations, the module and
// what is attached, and asks each consumer's rule. An error means that something could
// not be read. The result's Problems say what is wrong.
func (r *Registry) Verify(ctx context.Context, ref Reference) (*Verification, error) {
	v, found, err := r.verify(ctx, ref, nothing)
	if err == nil {
		v.Referrers, err = r.tree(ctx, found.repo, found.desc)
		if err != nil && !damaged(err) && ctx.Err() == nil {
			v.ReferrersUnknown, err = err.Error(), nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", ref, err)
	}
	return v, nil
}

// Check is Verify without the attachments. Of an image that this Registry pushed, it reads
// at most the manifest, because Push has read back the rest.
func (r *Registry) Check(ctx context.Context, ref Reference) (*Verification, error) {
	v, _, err := r.verify(ctx, ref, r.readBack)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", ref, err)
	}
	return v, nil
}

// VerifyVersion verifies a filter's version in every published shape. The artifact has
// to be published.
func (r *Registry) VerifyVersion(ctx context.Context, filter string, v version.Version) ([]*Verification, error) {
	var all []*Verification
	for _, shape := range Shapes {
		found, err := r.Verify(ctx, Reference{Repository: r.name(filter), Tag: shape.tag(v.String())})
		if shape != Artifact && finding.Absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}

func (r *Registry) verify(ctx context.Context, ref Reference, known func(digest.Digest) (wasmFacts, bool)) (*Verification, *found, error) {
	found, err := r.findUnless(ctx, ref, known)
	if err != nil {
		return nil, nil, err
	}
	v := &Verification{
		Reference:      ref.String(),
		ManifestDigest: found.desc.Digest.String(),
		Shape:          found.manifest.shape(),
		Annotations:    found.manifest.Annotations,
		subject:        r.subject(ref, found),
	}
	v.subject.Filter = ref.Filter()
	if v.Consumers, err = Judge(found.desc.MediaType, found.content); err != nil {
		return nil, nil, err
	}
	if err := r.checkTag(ctx, found, ref, v); err != nil {
		return nil, nil, err
	}
	v.checkConsumers()
	v.checkAnnotations(ref)
	if v.Shape != "" {
		v.checkConfig(found.manifest)
		if facts, ok := known(found.desc.Digest); ok {
			v.WasmSHA256, v.WasmSize, v.ABI, v.EnvoyMin = facts.sha256, facts.size, facts.abi, facts.envoyMin
		} else if err := r.checkBlobs(ctx, found, v); err != nil {
			return nil, nil, err
		}
	} else {
		v.problem("it has none of the known shapes, so its module was not read")
	}
	return v, found, nil
}

func (v *Verification) problem(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

// checkTag compares the tag of a reference with its digest. Consumers obey the digest and never
// look at the tag, which people read.
func (r *Registry) checkTag(ctx context.Context, found *found, ref Reference, v *Verification) error {
	if ref.Tag == "" || ref.Digest == "" {
		return nil
	}
	switch desc, err := r.resolve(ctx, found.repo, ref.Tag); {
	case finding.Absent(err):
		v.problem("the registry has no tag %s", ref.Tag)
	case err != nil:
		return err
	case desc.Digest.String() != ref.Digest:
		v.problem("the tag %s is %s in the registry", ref.Tag, desc.Digest)
	}
	return nil
}

// checkConsumers reports a problem if no consumer accepts the manifest.
func (v *Verification) checkConsumers() {
	if !slices.ContainsFunc(v.Consumers, func(c Verdict) bool { return c.Answer == Accepts }) {
		v.problem("no consumer accepts it: Istio %s", v.Consumers[0].Reason)
	}
}

func (v *Verification) checkAnnotations(ref Reference) {
	if named := v.Annotations[AnnotationFilter]; named != "" && named != ref.Filter() {
		v.problem("annotation %s is %q, but it is published as %s", AnnotationFilter, named, ref.Filter())
	}
	for _, key := range []string{ocispec.AnnotationVersion, ocispec.AnnotationRevision, ocispec.AnnotationCreated, AnnotationFilter, AnnotationWasmSHA256} {
		if v.Annotations[key] == "" {
			v.problem("annotation %s is missing", key)
		}
	}
	if created := v.Annotations[ocispec.AnnotationCreated]; created != "" {
		if _, err := time.Parse(time.RFC3339, created); err != nil {
			v.problem("annotation %s is %q, which is not a time in the form of RFC 3339", ocispec.AnnotationCreated, created)
		}
	}
	kind, ok := parseTag(ref.Tag)
	if !ok {
		return
	}
	if version := v.Annotations[ocispec.AnnotationVersion]; !kind.version.IsZero() && version != kind.version.String() {
		v.problem("annotation %s is %q, but its tag is %s", ocispec.AnnotationVersion, version, ref.Tag)
	}
	if v.Shape != "" && kind.shape != v.Shape {
		v.problem("tag %s is for the %s shape, but the manifest has the %s shape", ref.Tag, kind.shape, v.Shape)
	}
}

// checkConfig compares the config's media type with the one of the shape.
func (v *Verification) checkConfig(m manifest) {
	want := map[Shape]string{Artifact: mediaTypeModuleConfig, Compat: ocispec.MediaTypeImageConfig, CNCF: mediaTypeCNCFConfig}[v.Shape]
	if m.MediaType == mediaTypeDockerManifest {
		want = mediaTypeDockerConfig
	}
	if m.Config.MediaType != want {
		v.problem("its config is %s; in the %s shape it is %s", m.Config.MediaType, v.Shape, want)
	}
	if v.Shape == Artifact && m.layer(mediaTypeModuleConfig) == nil {
		v.problem("none of its layers is %s", mediaTypeModuleConfig)
	}
}

// checkBlobs reads every blob and inspects the module. A wrong answer of the registry
// is a problem of what is published; no answer is an error.
func (r *Registry) checkBlobs(ctx context.Context, found *found, v *Verification) error {
	m := found.manifest
	wasm := m.wasmLayer()
	for i, blob := range append([]ocispec.Descriptor{m.Config}, m.Layers...) {
		if blob.Digest == wasm.Digest || i > 0 && blob.Digest == m.Config.Digest && blob.Size == m.Config.Size {
			continue // the config may be a layer as well
		}
		if err := r.copyBlob(ctx, found.repo, blob, discard); err != nil {
			if !damaged(err) {
				return err
			}
			v.problem("%v", err)
		}
	}
	file, remove, err := temporary("verify-")
	if err != nil {
		return err
	}
	defer remove() //nolint:errcheck // a temporary file
	v.WasmSHA256, v.WasmSize, err = r.writeWasm(ctx, found, file)
	if err != nil {
		if !damaged(err) {
			return err
		}
		v.problem("%v", err)
		return nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var module bytes.Buffer
	if _, err := io.Copy(&module, file); err != nil {
		return err
	}
	report, err := inspect.Check(ctx, module.Bytes(), inspect.StartOptions{})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		v.problem("%v", err)
	}
	if report != nil {
		v.ABI, v.EnvoyMin = report.ABI, report.EnvoyMin
	}
	return nil
}

// Text prints the verification for people: a table of facts and verdicts.
func (v *Verification) Text(w io.Writer) error {
	state := "ok"
	if len(v.Problems) > 0 {
		state = "FAILED"
	}
	errs := []error{printable.Fprintf(w, "%s: %s\n", v.Reference, state)}
	row := func(name, value string) {
		if value != "" {
			errs = append(errs, printable.Fprintf(w, "  %-16s %s\n", name, value))
		}
	}
	row("manifest digest", v.ManifestDigest)
	row("shape", string(v.Shape))
	row("wasm sha256", v.WasmSHA256)
	if v.WasmSize > 0 {
		row("wasm size", fmt.Sprintf("%d bytes", v.WasmSize))
	}
	row("abi", v.ABI)
	row("lowest Envoy", v.EnvoyMin)
	for _, key := range []string{ocispec.AnnotationVersion, ocispec.AnnotationRevision, ocispec.AnnotationCreated, AnnotationCompiler} {
		row(key[strings.LastIndex(key, ".")+1:], v.Annotations[key])
	}
	for _, c := range v.Consumers {
		row(c.Consumer, fmt.Sprintf("%s: %s", c.Answer, c.Reason))
	}
	for _, problem := range v.Problems {
		row("PROBLEM", problem)
	}
	row("attached", v.ReferrersUnknown)
	return errors.Join(append(errs, writeTree(w, v.Referrers, "  "))...)
}
