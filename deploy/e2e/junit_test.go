package main

import (
	"encoding/xml"
	"testing"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// TestJUnit: a page that shows JUnit's XML tells what passed, failed and was left out, and why.
func TestJUnit(t *testing.T) {
	t.Parallel()
	const multiline = "the response's status:\n    - 200\n    + 503"
	text, err := junitXML(scenario.Report{Results: []scenario.Result{
		{Filter: "a", EnvoyVersion: "1.36.4", Scenario: "holds", Outcome: scenario.Passed, Duration: 1500e6},
		{Filter: "a", EnvoyVersion: "1.36.4", Scenario: "breaks", Outcome: scenario.Failed, Reason: multiline},
		{Filter: "a", EnvoyVersion: "1.40.0", Scenario: "waits", Outcome: scenario.LeftOut, Reason: "too new"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var read junit.Testsuites
	if err := xml.Unmarshal(text, &read); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(read.Suites) != 2 || read.Tests != 3 || read.Failures != 1 || read.Skipped != 1 {
		t.Fatalf("it has %d suites, %d tests, %d failures, %d skipped:\n%s", len(read.Suites), read.Tests, read.Failures, read.Skipped, text)
	}
	first, second := read.Suites[0], read.Suites[1]
	if first.Name != "a, Envoy 1.36.4" || first.Testcases[0].Name != "holds" || first.Testcases[0].Time != "1.500" || first.Testcases[0].Failure != nil {
		t.Errorf("the first suite is %+v", first)
	}
	if failure := first.Testcases[1].Failure; failure == nil || failure.Data != multiline {
		t.Errorf("the failure is %+v", failure)
	}
	if skipped := second.Testcases[0].Skipped; skipped == nil || skipped.Message != "too new" {
		t.Errorf("what was left out is %+v", skipped)
	}
}
