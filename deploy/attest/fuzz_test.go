package attest

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/oci"
)

// FuzzStatements: whatever is attached or signed, there is a verdict, and it is one
// line without control characters.
func FuzzStatements(f *testing.F) {
	facts := newFacts(f)
	for _, item := range facts.statements {
		payload, err := json.Marshal(item.Statement)
		if err != nil {
			f.Fatal(err)
		}
		bundle := []byte(`{"mediaType":"` + BundleMediaType + `","dsseEnvelope":{"payload":` + string(payload) + `,"payloadType":"application/vnd.in-toto+json"}}`)
		var statement Statement
		if err := json.Unmarshal(item.Statement, &statement); err != nil {
			f.Fatal(err)
		}
		f.Add(bundle, item.Statement, []byte(statement.Predicate), "a.eyJqb2Jfd29ya2Zsb3dfcmVmIjoieCJ9.c")
	}
	f.Add([]byte("null"), []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[null],"predicateType":"`+PredicateProvenance+`","predicate":null}`), []byte(`{"metadata":{"component":{"name":"\u001b[31m","hashes":[{}]}}}`), "..")
	f.Add([]byte("{}"), []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"`+manifestDigest[7:]+`"}},{"digest":{"sha256":"`+wasmSHA256+`"}}],"predicateType":"`+PredicateProvenance+`","predicate":{"buildDefinition":{"buildType":"`+BuildType+`","externalParameters":{"filter":"a\nok\u001b[31m"}}}}`), []byte("{} {}"), "..")
	// Neither the bundle nor the statement tells a type.
	f.Add([]byte("0"), []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"`+manifestDigest[7:]+`"}}]}`), []byte("{}"), "..")
	f.Fuzz(func(t *testing.T, bundle, statement, sbom []byte, token string) {
		e := facts.evidence
		e.bundles = []json.RawMessage{json.RawMessage("null")}
		if json.Valid(bundle) {
			e.bundles[0] = bundle
		}
		e.sboms = []oci.Attachment{{Name: "headers.cdx.json", Content: sbom}}
		e.results = []VerifyResult{{PredicateType: claimedType(bundle), Statement: statement}}
		var checks []Check
		for _, predicate := range predicates {
			state, detail := e.state(predicate.uri)
			if parsed, err := parseStatement(statement); state == OK && (err != nil || !parsed.names(manifestDigest)) {
				t.Errorf("%s passes for %q", predicate.name, statement)
			}
			checks = append(checks, Check{State: state, Detail: detail})
			if predicate.uri == PredicateTestResult {
				testState, detail, results := e.tested()
				if testState != state || (state == OK) != (len(results) == 1) {
					t.Errorf("%s is %s and %s, with %d results", predicate.name, state, testState, len(results))
				}
				for _, r := range results {
					if again := newTestResult(r.Tests, build.Release{}); !r.Tests.Passed() || len(again.PassedTests)+len(again.WarnedTests) != len(r.Tests) {
						t.Errorf("%q is read as %+v", statement, r.Tests)
					}
				}
				checks = append(checks, Check{State: testState, Detail: detail})
			}
			state, detail = e.withoutPolicy(predicate.uri)
			if state == OK && (predicate.uri != PredicateSBOM || e.judgeSBOM(sbom) != nil) {
				t.Errorf("%s passes without a policy for %q", predicate.name, sbom)
			}
			checks = append(checks, Check{State: state, Detail: detail})
		}
		var text strings.Builder
		if err := WriteChecks(&text, checks); err != nil {
			t.Fatal(err)
		}
		if strings.Count(text.String(), "\n") != len(checks)+1 || strings.ContainsFunc(strings.ReplaceAll(text.String(), "\n", ""), unicode.IsControl) {
			t.Errorf("the table is %q", text.String())
		}
		if sameJSON(sbom, sbom) != json.Valid(sbom) {
			t.Errorf("%q is compared, and JSON is %t", sbom, json.Valid(sbom))
		}
		_, _ = readClaims(token)
	})
}
