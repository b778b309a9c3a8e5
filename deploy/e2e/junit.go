package main

import (
	"bytes"
	"fmt"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// junitXML returns a report as JUnit XML: a suite for each filter and version of Envoy, with a
// test for each scenario.
//
// Reference: https://github.com/testmoapp/junitxml
func junitXML(r scenario.Report) ([]byte, error) {
	var suites junit.Testsuites
	var suite *junit.Testsuite
	end := func() {
		if suite != nil {
			suites.AddSuite(*suite)
		}
	}
	for _, result := range r.Results {
		name := fmt.Sprintf("%s, Envoy %s", result.Filter, result.EnvoyVersion)
		if suite == nil || suite.Name != name {
			end()
			suite = &junit.Testsuite{Name: name, ID: len(suites.Suites)}
		}
		test := junit.Testcase{Name: result.Scenario, Classname: result.Filter, Time: fmt.Sprintf("%.3f", result.Duration.Seconds())}
		switch result.Outcome {
		case scenario.Failed:
			test.Failure = &junit.Result{Message: "an expectation does not hold", Data: result.Reason}
		case scenario.LeftOut:
			test.Skipped = &junit.Result{Message: result.Reason}
		}
		suite.AddTestcase(test)
	}
	end()
	var out bytes.Buffer
	err := suites.WriteXML(&out)
	return append(out.Bytes(), '\n'), err
}
