package cost

import (
	"fmt"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/build"
)

// Result is what one run measured.
type Result struct {
	// Envoy is its version.
	Envoy string `json:"envoy"`
	// Compilers are those that built the filters.
	Compilers []build.Toolchain `json:"compilers"`
	// Rounds is the number of rounds for each contestant. Each round sent Requests
	// requests over Connections connections.
	Rounds      int `json:"rounds"`
	Requests    int `json:"requestsPerRound"`
	Connections int `json:"connections"`
	// Traffic holds the numbers, for each kind of traffic.
	Traffic []Traffic `json:"traffic"`
}

// Traffic is one kind of requests. Name is "direct" where Envoy answers by itself,
// and "upstream" where a httpbin behind it does.
type Traffic struct {
	Name string `json:"name"`
	Rows []*Row `json:"rows"`
}

// Row is one contestant.
type Row struct {
	// Name is "<filter> (<compiler>)" for a module that was built, and the path as
	// given for a module that the user named.
	Name string `json:"name"`
	// Size is the size of its modules, in bytes.
	Size int64 `json:"size,omitempty"`
	// CPU is Envoy's processor time for a request in µs. Added is how much more that is
	// than without a filter in the same round, and Ratio is how many times as much.
	CPU   Spread `json:"cpuMicroseconds"`
	Added Spread `json:"addedCpuMicroseconds"`
	Ratio Spread `json:"ratio"`
	// RequestsPerSecond and the latencies in µs are medians over rounds; Max is the
	// longest of all.
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	P50               float64 `json:"p50Microseconds"`
	P99               float64 `json:"p99Microseconds"`
	Max               float64 `json:"maxMicroseconds"`
	// Errors counts answers with another status than expected, and requests without one.
	Errors int64 `json:"errors"`
	// RSSBefore and RSSAfter are Envoy's resident memory in bytes, before the first
	// request of a run and after the last one of this traffic.
	RSSBefore uint64 `json:"rssBefore"`
	RSSAfter  uint64 `json:"rssAfter"`
	// Rounds are the individual rounds, in order.
	Rounds []Round `json:"rounds"`

	base int // the row without a filter that was asked the same
}

// Round is what was seen in one round, in the units of Row.
type Round struct {
	CPU               float64 `json:"cpuMicroseconds"`
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	P50               float64 `json:"p50Microseconds"`
	P99               float64 `json:"p99Microseconds"`
	Max               float64 `json:"maxMicroseconds"`
	Errors            int64   `json:"errors"`
}

// Spread is a median with the quartiles round it.
type Spread struct {
	Low    float64 `json:"low"`
	Median float64 `json:"median"`
	High   float64 `json:"high"`
}

// summarize fills the rows from their rounds.
func (t *Traffic) summarize() {
	for _, row := range t.Rows {
		base := t.Rows[row.base].Rounds
		row.CPU = spread(row.Rounds, func(_ int, r Round) float64 { return r.CPU })
		row.Added = spread(row.Rounds, func(i int, r Round) float64 { return r.CPU - base[i].CPU })
		row.Ratio = spread(row.Rounds, func(i int, r Round) float64 { return r.CPU / base[i].CPU })
		row.RequestsPerSecond = spread(row.Rounds, func(_ int, r Round) float64 { return r.RequestsPerSecond }).Median
		row.P50 = spread(row.Rounds, func(_ int, r Round) float64 { return r.P50 }).Median
		row.P99 = spread(row.Rounds, func(_ int, r Round) float64 { return r.P99 }).Median
		row.Max = 0
		for _, r := range row.Rounds {
			row.Max = max(row.Max, r.Max)
		}
	}
}

func spread(rounds []Round, value func(i int, r Round) float64) Spread {
	var values []float64
	for i, r := range rounds {
		values = append(values, value(i, r))
	}
	slices.Sort(values)
	last := len(values) - 1
	return Spread{Low: values[last/4], Median: (values[last/2] + values[(last+1)/2]) / 2, High: values[last-last/4]}
}

// Err returns an error that says how many requests failed, of all contestants; nil if
// none did.
func (r *Result) Err() error {
	var n int64
	for _, t := range r.Traffic {
		for _, row := range t.Rows {
			n += row.Errors
		}
	}
	if n > 0 {
		return fmt.Errorf("%d requests failed; see the column errors", n)
	}
	return nil
}
