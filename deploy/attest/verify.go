package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// VerifyOptions say what is verified, and whose signatures count.
type VerifyOptions struct {
	// Registry is where the filters are published. Default: nowhere.
	Registry *oci.Registry
	// Subjects are their manifests. Default: those that the version's tags point to.
	Subjects []*oci.Subject
	// Filters are the filters' names in the registry.
	Filters []string
	// Modules are the modules in a storage.
	Modules []StoredModule
	// Version is the version. Required.
	Version version.Version
	// Policy says whose signatures count. Default: nobody's. Then a missing signature
	// is no failure, and a signed statement is Unchecked.
	Policy Policy
	// Tested are the filters that have to have a signed test result. Default: none. Then
	// a missing one is no failure.
	Tested []string
}

// Verify checks the signature, the provenance, the bill of materials, the test result and the
// record of every manifest of a version, and the signature and the record of every stored
// module. Only a release makes a record; if there is none, there is no check of it. A statement
// counts if it satisfies the policy, is about this manifest or module, and agrees with it
// and the version. The state is Unknown if something could not be read, or not be compared
// with the policy.
//
// The only error is that of a canceled context.
func Verify(ctx context.Context, opts VerifyOptions) ([]Check, error) {
	all := append(gather(ctx, opts), evidenceOf(opts.Modules, opts.Version.String())...)
	if err := judgeBundles(ctx, opts.Policy, all); err != nil {
		for _, e := range all {
			if len(e.bundles) > 0 {
				e.err = errors.Join(e.err, err)
			}
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, fmt.Errorf("verify the signatures of %s: %w", opts.Version, context.Cause(ctx))
	}
	var checks []Check
	for _, e := range all {
		if e.module != nil {
			checks = append(append(checks, e.checkModule(opts.Policy)), e.checkRecord(e.module.URL, opts.Policy)...)
			continue
		}
		for _, predicate := range predicates {
			if predicate.uri == PredicateRecord {
				checks = append(checks, e.checkRecord(e.manifest.Reference.String(), opts.Policy)...)
				continue
			}
			c := Check{Subject: e.manifest.Reference.String(), What: predicate.check, Optional: e.err == nil && opts.Policy.IsZero()}
			if predicate.uri == PredicateTestResult {
				c.Optional = e.err == nil && !slices.Contains(opts.Tested, e.filter)
			}
			switch {
			case e.err != nil:
				c.State, c.Detail, c.Err = StateOf(e.err), e.err.Error(), e.err
			case opts.Policy.IsZero():
				c.State, c.Detail = e.withoutPolicy(predicate.uri)
			case predicate.uri == PredicateTestResult:
				c.State, c.Detail, c.Results = e.tested()
			default:
				c.State, c.Detail = e.state(predicate.uri)
			}
			checks = append(checks, c)
		}
	}
	return checks, nil
}

// evidence is everything that is attached to a manifest, or stored beside a module.
type evidence struct {
	filter   string
	version  string
	manifest oci.Manifest
	module   *StoredModule // nil for a manifest
	sboms    []oci.Attachment
	bundles  []json.RawMessage
	results  []VerifyResult // one for each bundle; none without a policy
	err      error          // why the other fields are incomplete
}

// judgeBundles checks which bundles satisfy the policy.
func judgeBundles(ctx context.Context, policy Policy, all []*evidence) error {
	if policy.IsZero() {
		return nil
	}
	request := VerifyRequest{Policy: policy.absolute()}
	for _, e := range all {
		for _, bundle := range e.bundles {
			request.Items = append(request.Items, VerifyItem{SubjectDigest: e.digest(), Bundle: bundle})
		}
	}
	response, err := run(ctx, Request{Verify: &request})
	if err != nil {
		return err
	}
	results := response.Results
	if len(results) != len(request.Items) {
		return fmt.Errorf("%d bundles were to be judged, and %d verdicts came back", len(request.Items), len(results))
	}
	for i := range results {
		if results[i].Signer == "" {
			results[i].Signer = "signed with " + redact.Value(policy.Key)
		}
	}
	for _, e := range all {
		e.results, results = results[:len(e.bundles)], results[len(e.bundles):]
	}
	return nil
}

// digest is what the statements have to be about.
func (e *evidence) digest() string {
	if e.module != nil {
		return "sha256:" + e.module.WasmSHA256
	}
	return e.manifest.ManifestDigest
}

// gather reads what is attached. If that fails, the evidence's err says why.
func gather(ctx context.Context, opts VerifyOptions) []*evidence {
	var all []*evidence
	if opts.Registry == nil {
		return nil
	}
	for _, filter := range opts.Filters {
		subjects, err := subjectsOf(ctx, opts.Registry, of(opts.Subjects, filter), []string{filter}, opts.Version)
		if err != nil {
			ref := oci.Reference{Repository: opts.Registry.Address() + "/" + filter, Tag: opts.Version.String()}
			all = append(all, &evidence{filter: filter, version: opts.Version.String(), manifest: oci.Manifest{Reference: ref}, err: err})
			continue
		}
		for _, s := range subjects {
			e := &evidence{filter: filter, version: opts.Version.String(), manifest: s.Manifest}
			if e.bundles, e.err = bundlesOf(ctx, s); e.err == nil {
				e.sboms, e.err = s.Attached(ctx, oci.TypeSBOM)
			}
			all = append(all, e)
		}
	}
	return all
}

// withoutPolicy is the state of a statement if no policy says whose signatures count.
func (e *evidence) withoutPolicy(predicateType string) (State, string) {
	for _, bundle := range e.bundles {
		if claimedType(bundle) == predicateType {
			return Unchecked, "it is signed, and nobody said by whom it has to be"
		}
	}
	if predicateType != PredicateSBOM || len(e.sboms) == 0 {
		return Missing, "nobody signed one"
	}
	for _, sbom := range e.sboms {
		if err := e.judgeSBOM(sbom.Content); err != nil {
			return Wrong, err.Error()
		}
	}
	return OK, "it is not signed"
}

// state is the state of the statements of one type. One that is right is enough,
// because others may sign as well.
func (e *evidence) state(predicateType string) (State, string) {
	var problems []string
	for i, result := range e.results {
		claimed := result.PredicateType
		if claimed == "" {
			claimed = claimedType(e.bundles[i])
		}
		// A bundle that does not tell its type may have any type.
		if claimed != predicateType && claimed != "" {
			continue
		}
		err := e.judge(result, predicateType)
		if err == nil {
			return OK, result.Signer
		}
		problems = append(problems, err.Error())
	}
	if len(problems) == 0 {
		return Missing, "none is attached"
	}
	return Wrong, strings.Join(slices.Compact(problems), "; ")
}

// judge compares a statement with the type that it should have, and with the manifest
// that it should be about.
func (e *evidence) judge(result VerifyResult, predicateType string) error {
	statement, err := e.statement(result, predicateType)
	if err != nil {
		return err
	}
	switch {
	case predicateType == PredicateRecord:
		return e.judgeRecord(statement)
	case e.module != nil:
		return e.judgeModule(statement)
	}
	switch predicateType {
	case PredicateProvenance:
		return e.judgeProvenance(statement)
	case PredicateSBOM:
		return e.judgeSignedSBOM(statement)
	case PredicateTestResult:
		_, err := e.tests(statement)
		return err
	}
	return nil
}

// statement returns a signed statement, if it has a type and is about the manifest.
func (e *evidence) statement(result VerifyResult, predicateType string) (Statement, error) {
	if result.Problem != "" {
		return Statement{}, errors.New(result.Problem)
	}
	statement, err := parseStatement(result.Statement)
	if err != nil {
		return Statement{}, err
	}
	if statement.PredicateType != predicateType {
		return Statement{}, fmt.Errorf("its predicate is of type %q, not %s", statement.PredicateType, predicateType)
	}
	if !statement.names(e.digest()) {
		return Statement{}, fmt.Errorf("it is not about %s", e.digest())
	}
	return statement, nil
}

// errNoModule says that the manifest names no module, so no statement can be about it.
// Without this check, a missing sum would equal one that is missing in the statement. The
// same is true of errNoCommit.
var errNoModule = fmt.Errorf("the manifest names no module: annotation %s is missing", oci.AnnotationWasmSHA256)

var errNoCommit = fmt.Errorf("the manifest names no commit: annotation %s is missing", ocispec.AnnotationRevision)

func (e *evidence) wasmSHA256() string {
	if e.module != nil {
		return e.module.WasmSHA256
	}
	return e.manifest.Annotations[oci.AnnotationWasmSHA256]
}

func (e *evidence) revision() string { return e.manifest.Annotations[ocispec.AnnotationRevision] }

func (e *evidence) judgeProvenance(statement Statement) error {
	var p provenance
	if err := json.Unmarshal(statement.Predicate, &p); err != nil {
		return fmt.Errorf("read the provenance: %w", err)
	}
	revision := e.revision()
	switch {
	case revision == "":
		return errNoCommit
	case e.wasmSHA256() == "":
		return errNoModule
	}
	if err := e.judgeBuild(statement, p, e.wasmSHA256()); err != nil {
		return err
	}
	if !namesCommit(p.BuildDefinition.ResolvedDependencies, revision) {
		return fmt.Errorf("it does not name the commit %s, which the manifest names", revision)
	}
	return nil
}

// namesCommit reports whether one of the resources is the commit: see commit.
func namesCommit(resources []Resource, revision string) bool {
	return slices.ContainsFunc(resources, func(r Resource) bool {
		return r.Digest["gitCommit"] == revision || strings.HasSuffix(revision, dirty) && r.Annotations["revision"] == revision
	})
}

// judgeSignedSBOM also compares the signed bill of materials with the unsigned one that
// is attached for scanners.
func (e *evidence) judgeSignedSBOM(statement Statement) error {
	if err := e.judgeSBOM(statement.Predicate); err != nil {
		return err
	}
	for _, sbom := range e.sboms {
		if !sameJSON(sbom.Content, statement.Predicate) {
			return fmt.Errorf("%s, which is attached too, says something else", sbom.Name)
		}
	}
	return nil
}

// judgeSBOM returns an error if a bill of materials is not that of the manifest's
// module.
func (e *evidence) judgeSBOM(content []byte) error {
	var bom struct {
		Metadata struct {
			Component struct {
				Name    string `json:"name"`
				Version string `json:"version"`
				Hashes  []struct {
					Algorithm string `json:"alg"`
					Content   string `json:"content"`
				} `json:"hashes"`
			} `json:"component"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(content, &bom); err != nil {
		return fmt.Errorf("read the bill of materials: %w", err)
	}
	c := bom.Metadata.Component
	if e.wasmSHA256() == "" {
		return errNoModule
	}
	if c.Name != e.filter || c.Version != e.version {
		return fmt.Errorf("it is of %q %q", c.Name, c.Version)
	}
	for _, hash := range c.Hashes {
		if hash.Algorithm == "SHA-256" && hash.Content == e.wasmSHA256() {
			return nil
		}
	}
	return fmt.Errorf("it is not of the module with wasm sha256 %s", e.wasmSHA256())
}

// claimedType is the type of the statement in an unverified bundle; empty if it holds
// none.
func claimedType(bundle json.RawMessage) string {
	var b struct {
		Envelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	var s Statement
	if json.Unmarshal(bundle, &b) != nil || json.Unmarshal(b.Envelope.Payload, &s) != nil {
		return ""
	}
	return s.PredicateType
}

// sameJSON compares JSON values, not their formatting. Numbers are equal if their
// digits are.
func sameJSON(a, b []byte) bool {
	decode := func(data []byte) (value any, err error) {
		if !json.Valid(data) { // a decoder would stop before trailing data
			return nil, errors.New("it is no JSON")
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		err = decoder.Decode(&value)
		return value, err
	}
	x, err := decode(a)
	y, err2 := decode(b)
	return err == nil && err2 == nil && reflect.DeepEqual(x, y)
}
