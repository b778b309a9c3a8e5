package attest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

// PredicateRecord is the type of a statement that holds what the record of a release says about
// one filter: the record without the other filters. Its subjects are the manifest or the stored
// module, the module, and the record's file.
const PredicateRecord = "https://pkg.go.dev/github.com/slipway-wasm/slipway/deploy/release#Record"

// WhatRecord is the What of a check of a record.
const WhatRecord = "record"

// RecordName is the name of the record's file, among a statement's subjects.
const RecordName = "release.json"

// ReleaseRecord is the record of a release, in the form in which it is signed.
type ReleaseRecord struct {
	// SHA256 is the sha256 of the record's file, in hex.
	SHA256 string
	// Filters are the records of each filter without the others, as JSON, by the filters'
	// names.
	Filters map[string]json.RawMessage
}

// SignedRecord is what is signed about a filter in a record.
type SignedRecord struct {
	// Signer says who signed, for people.
	Signer string
	// SHA256 is the sha256 of the record's file, in hex.
	SHA256 string
	// Record is the record of the filter without the others, as JSON.
	Record json.RawMessage
	// Bundle is the sigstore bundle, as JSON. It is about the record's file, too.
	Bundle json.RawMessage
}

// recordResource is the record's file as a subject.
func recordResource(record ReleaseRecord) Resource {
	return Resource{Name: RecordName, Digest: map[string]string{"sha256": record.SHA256}}
}

// recordedFacts are the facts of a record that what it is about has as well.
type recordedFacts struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Filters []struct {
		Name       string `json:"name"`
		WasmSHA256 string `json:"wasmSha256"`
		Manifests  []struct {
			ManifestDigest string `json:"manifestDigest"`
		} `json:"manifests"`
	} `json:"filters"`
}

// judgeRecord compares a signed record with the manifest or the stored module that it should be
// about.
func (e *evidence) judgeRecord(statement Statement) error {
	var record recordedFacts
	if err := json.Unmarshal(statement.Predicate, &record); err != nil {
		return fmt.Errorf("read the record: %w", err)
	}
	sum := e.wasmSHA256()
	switch {
	case sum == "":
		return errNoModule
	case recordSHA256(statement) == "":
		return fmt.Errorf("it is not about a %s", RecordName)
	case len(record.Filters) != 1:
		return fmt.Errorf("it is about %d filters, and should be about %s", len(record.Filters), e.filter)
	}
	f := record.Filters[0]
	switch {
	case f.Name != e.filter || record.Version != e.version:
		return fmt.Errorf("it is of %s %s", f.Name, record.Version)
	case f.WasmSHA256 != sum:
		return fmt.Errorf("it names the wasm sha256 %s, and this one is %s", f.WasmSHA256, sum)
	case e.module != nil:
		return nil
	case record.Commit != e.revision():
		return fmt.Errorf("it does not name the commit %s, which the manifest names", e.revision())
	}
	for _, m := range f.Manifests {
		if m.ManifestDigest == e.manifest.ManifestDigest {
			return nil
		}
	}
	return fmt.Errorf("it does not name the manifest %s", e.manifest.ManifestDigest)
}

// recordSHA256 is the sha256 of the record's file that a statement is about; empty if there is
// none.
func recordSHA256(statement Statement) string {
	i := slices.IndexFunc(statement.Subject, func(r Resource) bool { return r.Name == RecordName })
	if i < 0 {
		return ""
	}
	return statement.Subject[i].Digest["sha256"]
}

// recorded is the state of the signed records, and those that are right.
func (e *evidence) recorded() (state State, detail string, right []SignedRecord) {
	if state, detail = e.state(PredicateRecord); state != OK {
		return state, detail, nil
	}
	for i, result := range e.results {
		statement, err := e.statement(result, PredicateRecord)
		if err == nil && e.judgeRecord(statement) == nil {
			right = append(right, SignedRecord{result.Signer, recordSHA256(statement), statement.Predicate, e.bundles[i]})
		}
	}
	return state, detail, right
}

// checkRecord is the check of the record that is signed about a manifest or a stored module. There
// is none if no record is: only a release makes one.
func (e *evidence) checkRecord(subject string, policy Policy) []Check {
	err := e.err
	if e.module != nil {
		err = cmp.Or(e.module.RecordErr, err)
	}
	c := Check{Subject: subject, What: WhatRecord, Filter: e.filter}
	switch {
	case err != nil:
		c.State, c.Detail, c.Err = StateOf(err), err.Error(), err
	case !slices.ContainsFunc(e.bundles, func(bundle json.RawMessage) bool { return claimedType(bundle) == PredicateRecord }):
		if e.module == nil || e.module.RecordBundle == nil {
			return nil
		}
		c.State, c.Detail = Wrong, "what is stored beside it is no record"
	case policy.IsZero():
		c.State, c.Detail = e.withoutPolicy(PredicateRecord)
	default:
		c.State, c.Detail, c.Records = e.recorded()
	}
	return []Check{c}
}

// signed reports whether some checks found this record signed, about each of its filters.
func (r ReleaseRecord) signed(checks []Check) bool {
	found := map[string]bool{}
	for _, c := range checks {
		for _, s := range c.Records {
			found[c.Filter] = found[c.Filter] || s.SHA256 == r.SHA256
		}
	}
	for filter := range r.Filters {
		if !found[filter] {
			return false
		}
	}
	return true
}

// CheckFile returns an error if a sigstore bundle is not about a file, or does not satisfy the
// policy.
func CheckFile(ctx context.Context, policy Policy, file, bundle []byte) error {
	item := VerifyItem{SubjectDigest: "sha256:" + checksum.Bytes(file), Bundle: bundleOf(bundle)}
	response, err := run(ctx, Request{Verify: &VerifyRequest{Policy: policy.absolute(), Items: []VerifyItem{item}}})
	switch {
	case err != nil:
		return err
	case len(response.Results) != 1:
		return fmt.Errorf("one bundle was to be judged, and %d verdicts came back", len(response.Results))
	case response.Results[0].Problem != "":
		return finding.Mismatch(errors.New(response.Results[0].Problem))
	}
	return nil
}
