package attest

import (
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// The statement is signed, so the same tests have to give the same bytes, in whatever
// order and however fast they were played.
func TestTestResult(t *testing.T) {
	t.Parallel()
	f := newFacts(t)
	const want = `{"_type":"https://in-toto.io/Statement/v1","subject":[` +
		`{"name":"ghcr.io/acme/filters/headers","digest":{"sha256":"1111111111111111111111111111111111111111111111111111111111111111"}},` +
		`{"name":"headers.wasm","digest":{"sha256":"2222222222222222222222222222222222222222222222222222222222222222"}}],` +
		`"predicateType":"https://in-toto.io/attestation/test-result/v0.1","predicate":{"result":"WARNED","configuration":[` +
		`{"name":"source","uri":"git+https://github.com/acme/filters","digest":{"gitCommit":"0123456789abcdef0123456789abcdef01234567"}},` +
		`{"uri":"pkg:generic/envoy@1.9.0"},{"uri":"pkg:generic/envoy@1.40.0"}],` +
		`"passedTests":["add in Envoy in Envoy 1.40.0","add in Envoy in Envoy 1.9.0","set in Envoy 1.40.0"],` +
		`"warnedTests":["set in Envoy 1.9.0"],"failedTests":[]}}`
	if got := string(f.statements[3].Statement); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	other := played
	other.Results = slices.Concat(played.Results, played.Results[:2])
	slices.Reverse(other.Results)
	for i := range other.Results {
		other.Results[i].Duration, other.Results[i].Steps = 1, 1
	}
	if !slices.Equal(TestsOf(other, "headers"), TestsOf(played, "headers")) {
		t.Errorf("in another order: %v", TestsOf(other, "headers"))
	}
	failed := strings.NewReplacer(`"WARNED"`, `"FAILED"`, `"failedTests":[]`, `"failedTests":["x in Envoy 1.40.0"]`).Replace(want)
	if err := f.evidence.judge(VerifyResult{Statement: []byte(failed)}, PredicateTestResult); err == nil || !strings.Contains(err.Error(), `it says that "x in Envoy 1.40.0" failed`) {
		t.Errorf("a signed failure: %v", err)
	}
	f.evidence.results = []VerifyResult{{PredicateType: PredicateTestResult, Statement: f.statements[3].Statement, Signer: "signed with a key"}}
	state, detail, results := f.evidence.tested()
	if state != OK || detail != "1 scenario in Envoy 1.9.0, 2 scenarios in Envoy 1.40.0; 1 left out, signed with a key" || len(results) != 1 || !slices.Equal(results[0].Tests, TestsOf(played, "headers")) {
		t.Errorf("read back: %s %s %+v", state, detail, results)
	}
}

func TestTestsText(t *testing.T) {
	t.Parallel()
	tests := func(names ...string) (all Tests) {
		for _, name := range names {
			outcome := scenario.Passed
			if rest, ok := strings.CutPrefix(name, "-"); ok {
				name, outcome = rest, scenario.LeftOut
			}
			test, err := parseTest(name, outcome)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, test)
		}
		return all
	}
	for want, tests := range map[string]Tests{
		"1 scenario in Envoy 1.40.0":                                  tests("a in Envoy 1.40.0"),
		"2 scenarios in Envoy 1.9.0, 1.36.4":                          tests("a in Envoy 1.36.4", "a in Envoy 1.9.0", "b in Envoy 1.36.4", "b in Envoy 1.9.0"),
		"1 scenario in Envoy 1.9.0, 2 scenarios in Envoy 1.36.4":      tests("a in Envoy 1.36.4", "b in Envoy 1.36.4", "b in Envoy 1.9.0"),
		"1 scenario in Envoy 1.36.4; 2 left out":                      tests("a in Envoy 1.36.4", "-b in Envoy 1.36.4", "-a in Envoy 1.9.0"),
		"1 scenario in Envoy a version of mine, 1.40.0-dev.1, 1.40.0": tests("a in Envoy 1.40.0", "a in Envoy a version of mine", "a in Envoy 1.40.0-dev.1"),
	} {
		if got := tests.String(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// TestCheckPlayed: no test result is signed of another module, or of a scenario that did
// not pass.
func TestCheckPlayed(t *testing.T) {
	t.Parallel()
	release := build.Release{Filters: []build.Built{{Module: build.Module{Record: build.Record{Name: "headers", WasmSHA256: wasmSHA256}}}}}
	for name, c := range map[string]struct {
		change func(*scenario.Report)
		want   string
	}{
		"as played": {func(*scenario.Report) {}, ""},
		"another module": {func(r *scenario.Report) { r.Modules = map[string]string{"headers": strings.Repeat("0", 64)} },
			`with a module that has wasm sha256 "0000`},
		"a part":    {func(r *scenario.Report) { r.Run = "headers/set" }, `only the scenarios that match "headers/set" were played`},
		"no module": {func(r *scenario.Report) { r.Modules = nil }, `with a module that has wasm sha256 ""`},
		"a failure": {func(r *scenario.Report) { r.Results[1].Outcome = scenario.Failed },
			`scenario "set" of headers in Envoy 1.40.0: the outcome is "failed"`},
		"no outcome":          {func(r *scenario.Report) { r.Results[1].Outcome = "" }, `the outcome is ""`},
		"another's failure":   {func(r *scenario.Report) { r.Results[4].Outcome = scenario.Failed }, ""},
		"another's no module": {func(r *scenario.Report) { r.Modules = map[string]string{"headers": wasmSHA256} }, ""},
	} {
		report := played
		report.Results = slices.Clone(played.Results)
		c.change(&report)
		err := checkPlayed(report, release)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestConfirm: what somebody says was played is compared with what is signed, both ways.
func TestConfirm(t *testing.T) {
	t.Parallel()
	tests := TestsOf(played, "headers")
	check := Check{What: WhatTested, State: OK, Results: []TestResult{{Tests: tests[:1]}, {Tests: tests}}}
	if err := check.Confirm(tests); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		tests Tests
		want  string
	}{
		"one less":        {tests[1:], `scenario "add in Envoy" in Envoy 1.40.0 is missing, and the signed`},
		"one more":        {append(slices.Clone(tests), Test{"x", "1.40.0", scenario.Passed}), `scenario "x" in Envoy 1.40.0 is "passed", and no signed`},
		"another outcome": {append(slices.Clone(tests[:3]), Test{"set", "1.9.0", scenario.Passed}), `scenario "set" in Envoy 1.9.0 is`},
		"none":            {nil, "is missing"},
	} {
		check := check
		check.Results = check.Results[1:]
		if err := check.Confirm(c.tests); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, check := range []Check{{What: "sbom", State: OK}, {What: WhatTested, State: Missing}} {
		if err := check.Confirm(tests); err != nil {
			t.Errorf("%s %s: %v", check.What, check.State, err)
		}
	}
}
