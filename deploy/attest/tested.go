package attest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/purl"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// testResult is in-toto's predicate of the same name. It has no URL of the run, because
// the same tests have to give the same bytes; the provenance names the run.
//
// Reference: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
type testResult struct {
	Result        string     `json:"result"`
	Configuration []Resource `json:"configuration"`
	PassedTests   []string   `json:"passedTests"`
	WarnedTests   []string   `json:"warnedTests"`
	FailedTests   []string   `json:"failedTests"`
}

// Values of testResult.Result.
const (
	resultPassed = "PASSED"
	resultWarned = "WARNED"
	resultFailed = "FAILED"
)

// inEnvoy separates the scenario and the version of Envoy in the name of a test.
const inEnvoy = " in Envoy "

// Test is one scenario in one version of Envoy.
type Test struct {
	// Scenario is the scenario's name.
	Scenario string `json:"scenario"`
	// EnvoyVersion is the version of Envoy, for example "1.36.4".
	EnvoyVersion string `json:"envoyVersion"`
	// Outcome says how it ended.
	Outcome scenario.Outcome `json:"outcome"`
}

// name is the test's name in a test result, which has room for one text.
func (t Test) name() string { return t.Scenario + inEnvoy + t.EnvoyVersion }

// parseTest reads a test's name. The scenario's own name may contain anything.
func parseTest(name string, outcome scenario.Outcome) (Test, error) {
	i := strings.LastIndex(name, inEnvoy)
	if i <= 0 || i+len(inEnvoy) == len(name) {
		return Test{}, fmt.Errorf("its test %q names no scenario and version of Envoy", name)
	}
	return Test{name[:i], name[i+len(inEnvoy):], outcome}, nil
}

// Tests are the tests of one filter, by scenario and version of Envoy. No two are equal.
type Tests []Test

// TestsOf returns the tests of one filter in a report.
func TestsOf(report scenario.Report, filter string) Tests {
	var tests Tests
	for _, r := range report.Results {
		if r.Filter == filter {
			tests = append(tests, Test{r.Scenario, r.EnvoyVersion, r.Outcome})
		}
	}
	return tests.sorted()
}

func (t Tests) sorted() Tests {
	slices.SortFunc(t, func(a, b Test) int {
		return cmp.Or(strings.Compare(a.Scenario, b.Scenario), strings.Compare(a.EnvoyVersion, b.EnvoyVersion), strings.Compare(string(a.Outcome), string(b.Outcome)))
	})
	return slices.Compact(t)
}

// Tested returns those of the filters that a report has passed tests of. They get a signed test
// result.
func Tested(report scenario.Report, filters []string) []string {
	return slices.DeleteFunc(slices.Clone(filters), func(filter string) bool { return !TestsOf(report, filter).Passed() })
}

// Passed reports whether any test passed.
func (t Tests) Passed() bool {
	return slices.ContainsFunc(t, func(t Test) bool { return t.Outcome == scenario.Passed })
}

// EnvoyVersions are the versions of Envoy in which any scenario was played, the lowest
// first.
func (t Tests) EnvoyVersions() []string {
	var versions []string
	for _, test := range t {
		if test.Outcome != scenario.LeftOut {
			versions = append(versions, test.EnvoyVersion)
		}
	}
	slices.SortFunc(versions, compareVersions)
	return slices.Compact(versions)
}

// compareVersions compares versions of Envoy. Texts that are no versions come first.
func compareVersions(a, b string) int {
	x, _ := version.Parse(a)
	y, _ := version.Parse(b)
	return cmp.Or(x.Compare(y), strings.Compare(a, b))
}

// String is the tests for people, such as "14 scenarios in Envoy 1.36.4, 1.40.0".
func (t Tests) String() string {
	scenarios, played := map[string]bool{}, map[string]map[string]bool{} // by version
	left := 0
	for _, test := range t {
		if test.Outcome == scenario.LeftOut {
			left++
			continue
		}
		if played[test.EnvoyVersion] == nil {
			played[test.EnvoyVersion] = map[string]bool{}
		}
		played[test.EnvoyVersion][test.Scenario], scenarios[test.Scenario] = true, true
	}
	versions := t.EnvoyVersions()
	text := plural(len(scenarios)) + inEnvoy + strings.Join(versions, ", ")
	if slices.ContainsFunc(versions, func(v string) bool { return len(played[v]) < len(scenarios) }) {
		// Not all of them in each.
		parts := make([]string, len(versions))
		for i, version := range versions {
			parts[i] = plural(len(played[version])) + inEnvoy + version
		}
		text = strings.Join(parts, ", ")
	}
	if left > 0 {
		text += fmt.Sprintf("; %d left out", left)
	}
	return text
}

func plural(scenarios int) string {
	if scenarios == 1 {
		return "1 scenario"
	}
	return fmt.Sprintf("%d scenarios", scenarios)
}

// newTestResult is the predicate for a filter's module. Tests that failed are not
// signed: see checkPlayed.
func newTestResult(tests Tests, release build.Release) testResult {
	p := testResult{Result: resultPassed, Configuration: []Resource{commit(release)}, PassedTests: []string{}, WarnedTests: []string{}, FailedTests: []string{}}
	for _, version := range tests.EnvoyVersions() {
		p.Configuration = append(p.Configuration, Resource{URI: purl.Generic("envoy", version)})
	}
	for _, test := range tests {
		if test.Outcome == scenario.LeftOut {
			p.WarnedTests = append(p.WarnedTests, test.name())
			p.Result = resultWarned
			continue
		}
		p.PassedTests = append(p.PassedTests, test.name())
	}
	return p
}

// checkPlayed returns an error if the report is not that of a release's modules, or if
// some of their scenarios were not played or did not pass.
func checkPlayed(report scenario.Report, release build.Release) error {
	if report.Run != "" {
		return fmt.Errorf("only the scenarios that match %q were played; play all of them", report.Run)
	}
	for _, m := range release.Modules() {
		if sum := report.Modules[m.Name]; sum != m.WasmSHA256 {
			return fmt.Errorf("the scenarios of %s were played with a module that has wasm sha256 %q, and published is %s: %w", m.Name, sum, m.WasmSHA256, ErrPlayedOther)
		}
		for _, test := range TestsOf(report, m.Name) {
			switch test.Outcome {
			case scenario.Passed, scenario.LeftOut:
			default:
				return fmt.Errorf("scenario %q of %s in Envoy %s: the outcome is %q, and only scenarios that passed are signed; mend it, and play them again", test.Scenario, m.Name, test.EnvoyVersion, test.Outcome)
			}
		}
	}
	return nil
}

// tests returns what a signed test result says, if it is about the manifest, its module
// and its commit, and everything passed.
func (e *evidence) tests(statement Statement) (Tests, error) {
	var p testResult
	if err := json.Unmarshal(statement.Predicate, &p); err != nil {
		return nil, fmt.Errorf("read the test result: %w", err)
	}
	revision := e.revision()
	switch {
	case revision == "":
		return nil, errNoCommit
	case e.wasmSHA256() == "":
		return nil, errNoModule
	case !statement.names("sha256:" + e.wasmSHA256()):
		return nil, fmt.Errorf("it is not about the module with wasm sha256 %s", e.wasmSHA256())
	case !namesCommit(p.Configuration, revision):
		return nil, fmt.Errorf("it does not name the commit %s, which the manifest names", revision)
	}
	var tests Tests
	for outcome, names := range map[scenario.Outcome][]string{scenario.Passed: p.PassedTests, scenario.LeftOut: p.WarnedTests, scenario.Failed: p.FailedTests} {
		for _, name := range names {
			test, err := parseTest(name, outcome)
			if err != nil {
				return nil, err
			}
			tests = append(tests, test)
		}
	}
	tests = tests.sorted()
	want := resultPassed
	switch {
	case len(p.FailedTests) > 0:
		want = resultFailed
	case len(p.WarnedTests) > 0:
		want = resultWarned
	}
	switch {
	case p.Result != want:
		return nil, fmt.Errorf("its result is %q, and its tests make it %s", p.Result, want)
	case want == resultFailed:
		return nil, fmt.Errorf("it says that %q failed", p.FailedTests[0])
	case !tests.Passed():
		return nil, errors.New("it names no scenario that passed")
	}
	return tests, nil
}

// TestResult is a signed test result of a manifest.
type TestResult struct {
	// Signer says who signed, for people.
	Signer string `json:"signer"`
	// Tests are the tests that it names. None of them failed.
	Tests Tests `json:"tests"`
}

// tested is the state of the test results, and those that are right.
func (e *evidence) tested() (state State, detail string, right []TestResult) {
	if state, detail = e.state(PredicateTestResult); state != OK {
		return state, detail, nil
	}
	var all Tests
	for _, result := range e.results {
		statement, err := e.statement(result, PredicateTestResult)
		if err != nil {
			continue
		}
		if tests, err := e.tests(statement); err == nil {
			right = append(right, TestResult{result.Signer, tests})
			all = append(all, tests...)
		}
	}
	return OK, all.sorted().String() + ", " + detail, right
}

// Confirm returns an error for each manifest whose signed test results are not about what a
// report says: see Check.Confirm.
func Confirm(checks []Check, subjects []*oci.Subject, report scenario.Report) error {
	var problems []error
	for _, s := range subjects {
		for _, c := range checks {
			if c.Subject != s.Reference.String() {
				continue
			}
			if err := c.Confirm(TestsOf(report, s.Filter)); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", c.Subject, err))
			}
		}
	}
	return errors.Join(problems...)
}

// Confirm returns an error if a check of a manifest's test results found some, and none
// of them names exactly these tests. The error names the first difference.
func (c Check) Confirm(tests Tests) error {
	if c.What != WhatTested || c.State != OK {
		return nil
	}
	var first error
	for _, result := range c.Results {
		err := difference(tests, result.Tests)
		if err == nil {
			return nil
		}
		first = cmp.Or(first, err)
	}
	return first
}

// difference names the first difference between tests and those that are signed.
func difference(tests, signed Tests) error {
	has := map[Test]int{}
	for _, t := range tests {
		has[t]++
	}
	for _, t := range signed {
		has[t]--
	}
	for _, t := range slices.SortedFunc(maps.Keys(has), func(a, b Test) int { return strings.Compare(a.name(), b.name()) }) {
		switch {
		case has[t] > 0:
			return fmt.Errorf("scenario %q in Envoy %s is %q, and no signed test result says so", t.Scenario, t.EnvoyVersion, t.Outcome)
		case has[t] < 0:
			return fmt.Errorf("scenario %q in Envoy %s is missing, and the signed test result says that it is %q", t.Scenario, t.EnvoyVersion, t.Outcome)
		}
	}
	return nil
}
