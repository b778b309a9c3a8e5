package local

import (
	"slices"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// TestFinish: results are in the order of a list with a heading for each filter and Envoy,
// whichever scenario ended first.
func TestFinish(t *testing.T) {
	t.Parallel()
	want := []scenario.Result{
		{Filter: "a", EnvoyVersion: "1.40.0", Scenario: "one"},
		{Filter: "a", EnvoyVersion: "1.40.0", Scenario: "two"},
		{Filter: "a", EnvoyVersion: "1.36.4", Scenario: "one"},
		{Filter: "b", EnvoyVersion: "1.40.0", Scenario: "one"},
	}
	r := Results{Report: scenario.Report{Results: slices.Clone(want), Modules: map[string]string{}}}
	slices.Reverse(r.Results)
	r.finish(Options{Envoys: []envoy.Binary{{Version: "1.40.0"}, {Version: "1.36.4"}}})
	if !slices.Equal(r.Results, want) {
		t.Errorf("the results are %v, want %v", r.Results, want)
	}
}
