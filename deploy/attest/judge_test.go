package attest

import (
	"encoding/json"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/version"
)

const (
	manifestDigest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	wasmSHA256     = "2222222222222222222222222222222222222222222222222222222222222222"
	recordSum      = "3333333333333333333333333333333333333333333333333333333333333333"
	revision       = "0123456789abcdef0123456789abcdef01234567"
)

// signedFacts are a manifest and statements about it. They test what a signature cannot
// show: that the signer states something else than the manifest.
type signedFacts struct {
	evidence   evidence
	statements []item // in the order of predicates
}

// played is the report of two scenarios. One of them is left out in one Envoy.
var played = scenario.Report{
	Modules:       map[string]string{"headers": wasmSHA256, "other": wasmSHA256},
	EnvoyVersions: []string{"1.9.0", "1.40.0"},
	Results: []scenario.Result{
		{Scenario: "set", Filter: "headers", EnvoyVersion: "1.9.0", Outcome: scenario.LeftOut, Reason: "it has no such call"},
		{Scenario: "set", Filter: "headers", EnvoyVersion: "1.40.0", Outcome: scenario.Passed, Steps: 3, Duration: 7},
		{Scenario: "add in Envoy", Filter: "headers", EnvoyVersion: "1.9.0", Outcome: scenario.Passed},
		{Scenario: "add in Envoy", Filter: "headers", EnvoyVersion: "1.40.0", Outcome: scenario.Passed},
		{Scenario: "log", Filter: "other", EnvoyVersion: "1.40.0", Outcome: scenario.Passed},
	},
}

func newFacts(t testing.TB) signedFacts {
	t.Helper()
	record := build.Record{
		Name: "headers", WasmSHA256: wasmSHA256,
		Compiler: build.Toolchain{Name: "tinygo", Version: "0.41.1", GoVersion: "go1.22.12", Flags: []string{"-no-debug"}},
		Modules:  []build.GoModule{{Path: "github.com/acme/filters"}, {Path: "github.com/tetratelabs/proxy-wasm-go-sdk", Version: "v0.24.0"}},
	}
	m := oci.Manifest{
		Reference:      oci.Reference{Repository: "ghcr.io/acme/filters/headers", Tag: "1.4.0"},
		ManifestDigest: manifestDigest,
		Annotations:    map[string]string{oci.AnnotationWasmSHA256: wasmSHA256, ocispec.AnnotationRevision: revision},
	}
	items, err := statements(build.Built{Module: build.Module{Record: record}}, m, SignOptions{
		Release: build.Release{
			Version: version.MustParse("1.4.0"), Revision: revision, Source: "https://github.com/acme/filters",
			Filters: []build.Built{{Module: build.Module{Record: record}}},
		},
		Builder: Builder{ID: LocalBuilder},
		Played:  &played,
		Record: ReleaseRecord{SHA256: recordSum, Filters: map[string]json.RawMessage{
			"headers": json.RawMessage(`{"version":"1.4.0","commit":"` + revision + `","filters":[{"name":"headers","wasmSha256":"` + wasmSHA256 + `","manifests":[{"manifestDigest":"` + manifestDigest + `"}]}]}`),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return signedFacts{evidence{filter: "headers", version: "1.4.0", manifest: m}, items}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	f := newFacts(t)
	for i, item := range f.statements {
		if err := f.evidence.judge(VerifyResult{Statement: item.Statement}, predicates[i].uri); err != nil {
			t.Errorf("%s: %v", predicates[i].name, err)
		}
	}
	// judge assumes that all of these are signed.
	for name, c := range map[string]struct {
		predicate int
		old, new  string
		want      string
	}{
		"no statement":           {0, `"_type":"https://in-toto.io/Statement/v1"`, `"_type":"https://in-toto.io/Statement/v0.1"`, "a statement of type"},
		"no type":                {0, PredicateSignature, "", `its predicate is of type ""`},
		"another type":           {0, PredicateSignature, PredicateSBOM, "its predicate is of type"},
		"signature's subject":    {0, manifestDigest[7:], strings.Repeat("0", 64), "it is not about sha256:"},
		"provenance's subject":   {1, manifestDigest[7:], strings.Repeat("0", 64), "it is not about sha256:"},
		"provenance's module":    {1, wasmSHA256, strings.Repeat("0", 64), "not about the module"},
		"provenance's commit":    {1, revision, strings.Repeat("0", 40), "does not name the commit " + revision},
		"commit as a note":       {1, `"digest":{"gitCommit":"` + revision + `"}`, `"annotations":{"revision":"` + revision + `"}`, "does not name the commit " + revision},
		"provenance's version":   {1, `"version":"1.4.0"`, `"version":"1.3.0"`, "it is of headers 1.3.0"},
		"provenance's filter":    {1, `"filter":"headers"`, `"filter":"authtoken"`, "it is of authtoken 1.4.0"},
		"provenance's type":      {1, BuildType, "https://example.com/build", "its build type"},
		"provenance's builder":   {1, LocalBuilder, "", "no builder"},
		"bill's subject":         {2, manifestDigest[7:], strings.Repeat("0", 64), "it is not about sha256:"},
		"bill's version":         {2, `"name":"headers","version":"1.4.0"`, `"name":"headers","version":"1.3.0"`, `it is of "headers" "1.3.0"`},
		"bill's module":          {2, `"content":"` + wasmSHA256, `"content":"` + strings.Repeat("0", 64), "not of the module"},
		"no bill":                {2, `"metadata":{`, `"metadata":[],"other":{`, "read the bill of materials"},
		"a predicate of no kind": {1, `"buildDefinition":{`, `"buildDefinition":[],"other":{`, "read the provenance"},
		"result's subject":       {3, manifestDigest[7:], strings.Repeat("0", 64), "it is not about sha256:"},
		"result's module":        {3, wasmSHA256, strings.Repeat("0", 64), "not about the module"},
		"result's commit":        {3, revision, strings.Repeat("0", 40), "does not name the commit " + revision},
		"no tests":               {3, `"passedTests":`, `"passedTests":{},"other":`, "read the test result"},
		"a failure":              {3, `"WARNED"`, `"FAILED"`, `its result is "FAILED", and its tests make it WARNED`},
		"a warning passes":       {3, `"WARNED"`, `"PASSED"`, `its result is "PASSED", and its tests make it WARNED`},
		"a failure passes":       {3, `"failedTests":[]`, `"failedTests":["x in Envoy 1.40.0"]`, `its result is "WARNED", and its tests make it FAILED`},
		"a test of no Envoy":     {3, `"set in Envoy 1.40.0"`, `"set"`, `its test "set" names no scenario`},
		"a test of an empty one": {3, `"set in Envoy 1.40.0"`, `"set in Envoy "`, `its test "set in Envoy " names no scenario`},
		"nothing passed":         {3, `"passedTests":`, `"other":`, "no scenario that passed"},
		"record's subject":       {4, `"digest":{"sha256":"` + manifestDigest[7:], `"digest":{"sha256":"` + strings.Repeat("0", 64), "it is not about sha256:"},
		"record's file":          {4, `"name":"release.json"`, `"name":"other.json"`, "it is not about a release.json"},
		"record's version":       {4, `"version":"1.4.0"`, `"version":"1.3.0"`, "it is of headers 1.3.0"},
		"record's commit":        {4, revision, strings.Repeat("0", 40), "does not name the commit " + revision},
		"record's module":        {4, `"wasmSha256":"` + wasmSHA256, `"wasmSha256":"` + strings.Repeat("0", 64), "it names the wasm sha256 000"},
		"record's manifest":      {4, `"manifestDigest":"` + manifestDigest, `"manifestDigest":"sha256:0`, "it does not name the manifest " + manifestDigest},
		"record's filter":        {4, `[{"name":"headers"`, `[{"name":"authtoken"`, "it is of authtoken 1.4.0"},
		"record of no filter":    {4, `"filters":[`, `"filters":[],"other":[`, "it is about 0 filters"},
		"no record":              {4, `"filters":[`, `"filters":{},"other":[`, "read the record"},
	} {
		statement := string(f.statements[c.predicate].Statement)
		if !strings.Contains(statement, c.old) {
			t.Fatalf("%s: %s is not in\n%s", name, c.old, statement)
		}
		err := f.evidence.judge(VerifyResult{Statement: []byte(strings.ReplaceAll(statement, c.old, c.new))}, predicates[c.predicate].uri)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestJudgeWithoutAnnotations: an annotation that is missing in the manifest equals
// nothing, not even a value that is missing in a statement.
func TestJudgeWithoutAnnotations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		annotation string // missing in the manifest
		predicate  int
		old, new   string // in the statement
		want       string
	}{
		"commit":            {ocispec.AnnotationRevision, 1, `"gitCommit":"` + revision + `"`, `"other":"x"`, "the manifest names no commit"},
		"commit, annotated": {ocispec.AnnotationRevision, 1, `"digest":{"gitCommit":"` + revision + `"}`, `"annotations":{"revision":""}`, "the manifest names no commit"},
		"provenance's sum":  {oci.AnnotationWasmSHA256, 1, `"sha256":"` + wasmSHA256 + `"`, `"sha256":""`, "the manifest names no module"},
		"bill's sum":        {oci.AnnotationWasmSHA256, 2, `"content":"` + wasmSHA256 + `"`, `"content":""`, "the manifest names no module"},
		"result's sum":      {oci.AnnotationWasmSHA256, 3, `"sha256":"` + wasmSHA256 + `"`, `"sha256":""`, "the manifest names no module"},
		"result's commit":   {ocispec.AnnotationRevision, 3, `"gitCommit":"` + revision + `"`, `"other":"x"`, "the manifest names no commit"},
	} {
		f := newFacts(t)
		delete(f.evidence.manifest.Annotations, c.annotation)
		statement := string(f.statements[c.predicate].Statement)
		if !strings.Contains(statement, c.old) {
			t.Fatalf("%s: %s is not in\n%s", name, c.old, statement)
		}
		err := f.evidence.judge(VerifyResult{Statement: []byte(strings.ReplaceAll(statement, c.old, c.new))}, predicates[c.predicate].uri)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// An unsigned bill of materials is also compared with the manifest.
	f := newFacts(t)
	delete(f.evidence.manifest.Annotations, oci.AnnotationWasmSHA256)
	f.evidence.sboms = []oci.Attachment{{Content: []byte(`{"metadata":{"component":{"name":"headers","version":"1.4.0","hashes":[{"alg":"SHA-256","content":""}]}}}`)}}
	if state, detail := f.evidence.withoutPolicy(PredicateSBOM); state != Wrong || !strings.Contains(detail, "names no module") {
		t.Errorf("a bill of no module is %s: %s", state, detail)
	}
}

// TestStatementsWithoutFacts: no statement is made about a module or a commit that is
// not named.
func TestStatementsWithoutFacts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sum, revision string }{"no commit": {wasmSHA256, ""}, "no module": {"", revision}} {
		m := newFacts(t).evidence.manifest
		m.Annotations = map[string]string{oci.AnnotationWasmSHA256: c.sum, ocispec.AnnotationRevision: c.revision}
		filter := build.Built{Module: build.Module{Record: build.Record{Name: "headers", WasmSHA256: c.sum}}}
		if _, err := statements(filter, m, SignOptions{Release: build.Release{Version: version.MustParse("1.4.0"), Revision: c.revision}}); err == nil {
			t.Errorf("%s: it is signed", name)
		}
	}
}

// TestProvenance: it names everything that decided the module's bytes. A checkout with
// changes gets no commit digest.
func TestProvenance(t *testing.T) {
	t.Parallel()
	var s Statement
	var p provenance
	if err := json.Unmarshal(newFacts(t).statements[1].Statement, &s); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(s.Predicate, &p); err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		named = append(named, d.URI+" "+d.Digest["gitCommit"])
	}
	want := "git+https://github.com/acme/filters " + revision + ",pkg:generic/tinygo@0.41.1 ,pkg:golang/std@1.22.12 ,pkg:golang/github.com/tetratelabs/proxy-wasm-go-sdk@v0.24.0 "
	if got := strings.Join(named, ","); got != want {
		t.Errorf("it names %s\nwant %s", got, want)
	}
	changed := commit(build.Release{Revision: revision + "-dirty", Source: "https://github.com/acme/filters"})
	if len(changed.Digest) > 0 || changed.Annotations["revision"] != revision+"-dirty" {
		t.Errorf("a changed checkout is %+v", changed)
	}
}

// TestGoSum reads the sums of the repository's own filters.
func TestGoSum(t *testing.T) {
	t.Parallel()
	sums, err := goSum("../../filter/headers")
	if err != nil {
		t.Fatal(err)
	}
	// h1:Xuwzknb4+OHBSYFXif0aBdV0F4MShL8L5YYFda9uUIs= in go.sum.
	if got := sums["github.com/tetratelabs/proxy-wasm-go-sdk v0.24.0"]; got != "5eec339276f8f8e1c149815789fd1a05d57417831284bf0be5860575af6e508b" {
		t.Errorf("the SDK's sum is %q", got)
	}
	if none, err := goSum(""); len(none) > 0 || err != nil {
		t.Errorf("%v, %v", none, err)
	}
}
