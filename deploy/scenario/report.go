// Package scenario says what is sent through filters and what must be seen.
//
// A scenario is a file beside a filter's source. Every place that runs filters plays the same
// file: plain Envoy, a mesh, a cluster, and the author's desk. So an author writes once what
// the filter has to do.
package scenario

import "time"

// JUnitFile is the file in dist/ that e2e writes, a Report as JUnit XML.
const JUnitFile = "e2e.xml"

// Report says what was played, and with which modules.
type Report struct {
	// Run is the pattern that narrowed what was played. Empty: all scenarios were played.
	Run string `json:"run,omitempty"`
	// Modules are the wasm sha256 sums of the modules, by the filter's name, in hexadecimal.
	Modules map[string]string `json:"modules"`
	// EnvoyVersions are the versions of Envoy that ran the modules, the lowest first.
	EnvoyVersions []string `json:"envoyVersions"`
	// Results are the results of all scenarios, in the order in which they are shown.
	Results []Result `json:"results"`
}

// Result is what became of one scenario in one proxy.
type Result struct {
	// Scenario is the scenario's name. It is unique among the scenarios of its filter.
	Scenario string `json:"scenario"`
	// Filter is the name of the filter beside whose source the scenario is.
	Filter string `json:"filter"`
	// EnvoyVersion is the version of the Envoy that played it.
	EnvoyVersion string `json:"envoyVersion"`
	// Outcome says how it ended.
	Outcome Outcome `json:"outcome"`
	// Reason says why a scenario was left out, or what was seen instead. It is empty if the
	// scenario passed.
	Reason string `json:"reason,omitempty"`
	// Steps are how many steps were played.
	Steps int `json:"steps"`
	// Duration is how long it took.
	Duration time.Duration `json:"duration"`
}

// Outcome is how a scenario ended.
type Outcome string

// The outcomes of a scenario.
const (
	// Passed says that all expectations held.
	Passed Outcome = "passed"
	// Failed says that an expectation did not hold.
	Failed Outcome = "failed"
	// LeftOut says that the scenario, or a part of it, was not played in this place.
	LeftOut Outcome = "left out"
)

// Count returns how many scenarios ended in a way.
func (r Report) Count(outcome Outcome) int {
	n := 0
	for _, result := range r.Results {
		if result.Outcome == outcome {
			n++
		}
	}
	return n
}
