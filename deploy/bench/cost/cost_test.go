package cost

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/bench/marked"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// seen is a result of two contestants in three rounds. The machine is twice as slow in
// the second round.
func seen() *Result {
	t := Traffic{Name: direct, Rows: []*Row{
		{Name: none, Rounds: []Round{{CPU: 20, Max: 1}, {CPU: 40, Max: 7}, {CPU: 20, Max: 2}}},
		{Name: "headers (tinygo)", Size: 54001, Errors: 3, Rounds: []Round{{CPU: 25}, {CPU: 50}, {CPU: 26, P50: 9}}},
	}}
	t.summarize()
	return &Result{Envoy: "1.40.0", Traffic: []Traffic{t}}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	rows := seen().Traffic[0].Rows
	if got := rows[0].Max; got != 7 {
		t.Errorf("the longest of all rounds is %v, want 7", got)
	}
	filter := rows[1]
	if filter.Added.Median != 6 || filter.Added.Low != 5 || filter.Added.High != 10 {
		t.Errorf("added %+v, want 6 between 5 and 10: each round is compared with its own", filter.Added)
	}
	if math.Abs(filter.Ratio.Median-1.25) > 1e-9 {
		t.Errorf("ratio %v, want 1.25", filter.Ratio.Median)
	}
	if filter.CPU.Median != 26 {
		t.Errorf("CPU %v, want 26", filter.CPU.Median)
	}
}

func TestSpreadOfEven(t *testing.T) {
	t.Parallel()
	rounds := []Round{{CPU: 4}, {CPU: 1}, {CPU: 3}, {CPU: 2}}
	got := spread(rounds, func(_ int, r Round) float64 { return r.CPU })
	if want := (Spread{1, 2.5, 4}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := seen()
	if err := r.WritePlots(dir); err != nil {
		t.Fatal(err)
	}
	plot, err := os.ReadFile(filepath.Join(dir, "bench-direct.svg"))
	if err != nil || !strings.Contains(string(plot), "headers (tinygo)") {
		t.Errorf("plot: %v\n%s", err, plot)
	}
	const want = "| headers (tinygo) | 55 | 6.0 | 5.0…10.0 | 26.0 | 1.25 |"
	if text := r.Markdown(); !strings.Contains(text, want) || !strings.Contains(text, "](bench-direct.svg)") {
		t.Errorf("no %q or no plot in\n%s", want, text)
	}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil || !strings.Contains(table.String(), "5.0…10.0") {
		t.Errorf("table: %v\n%s", err, table.String())
	}
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "3 requests failed") {
		t.Errorf("the error is %v, and 3 requests failed", err)
	}
	r.Traffic[0].Rows[1].Errors = 0
	if err := r.Err(); err != nil {
		t.Errorf("no request failed: %v", err)
	}
}

func TestContestants(t *testing.T) {
	t.Parallel()
	built := map[string][]module{"go": {
		{name: "noop", path: "/n.wasm", size: 1}, {name: "headers", path: "/h.wasm", size: 2},
		{name: "authtoken", path: "/a.wasm", size: 4}, {name: "requestlog", path: "/r.wasm", size: 8},
	}}
	named := []module{{name: "headers-rust", path: "/rust/headers-rust.wasm", named: "../headers-rust.wasm"}, {name: "other", path: "/other.wasm", named: "/other.wasm"}}
	subjects := marked.Subjects{subject("authtoken", ""), subject("headers", `{"a": 1}`), subject("requestlog", "")}
	list := func(subjects marked.Subjects, named []module) map[string]contestant {
		t.Helper()
		all, err := contestants([]string{"go"}, built, subjects, named, true)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]contestant{}
		for _, c := range all {
			if _, twice := found[c.name]; twice {
				t.Errorf("%s is there twice", c.name)
			}
			found[c.name] = c
			if !strings.HasPrefix(all[c.base].name, none) || !reflect.DeepEqual(all[c.base].asked, c.asked) {
				t.Errorf("%s is compared with %s", c.name, all[c.base].name)
			}
			if _, err := configuration(c, 1); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		return found
	}
	found := list(subjects, named)
	if c := found["chain (go)"]; len(c.filters) != 3 || c.size != 14 {
		t.Errorf("chain: %+v", c)
	}
	if c := found["../headers-rust.wasm"]; c.filters[0].Configuration != `{"a": 1}` {
		t.Errorf("a module whose name begins with headers is configured otherwise: %q", c.filters[0].Configuration)
	}
	if c := found["/other.wasm"]; len(c.filters) != 1 || c.filters[0].Configuration != "" {
		t.Errorf("other module: %+v", c)
	}

	// A filter that is asked something else has a baseline of its own, and is in no chain.
	subjects[1].Scenario.Steps[0].Request.Path = "/else"
	found = list(subjects, nil)
	if _, ok := found[none+", asked as headers (go)"]; !ok {
		t.Errorf("no baseline for another request: %v", slices.Sorted(maps.Keys(found)))
	}
	if _, ok := found["chain (go)"]; ok {
		t.Error("a chain of filters that are asked different things")
	}
}

// subject is a filter that is asked for /get.
func subject(name, configuration string) marked.Subject {
	return marked.Subject{
		Name:     name,
		Scenario: scenario.Scenario{Filter: name, Steps: []scenario.Step{{Request: &scenario.Request{Path: "/get"}}}},
		Plugins:  []scenario.Plugin{{Filter: name, Configuration: configuration}},
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	config, err := configuration(contestant{native: lua()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"direct_response:", "cluster: upstream", "envoy_on_request", "envoy.filters.http.router"} {
		if !strings.Contains(string(config), want) {
			t.Errorf("no %q in\n%s", want, config)
		}
	}
	if strings.Count(string(config), "direct_response:") != 1 {
		t.Errorf("not one listener answers by itself:\n%s", config)
	}
	_, err = configuration(contestant{filters: []envoyconf.Filter{{Name: "x", Source: envoyconf.Local{Path: "relative"}}}}, 1)
	if err == nil {
		t.Error("a relative path is taken")
	}
}

func TestModulesNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "authtoken-rust.wasm")
	if err := os.WriteFile(file, []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := modulesNamed([]string{file})
	if err != nil || len(got) != 1 || got[0] != (module{name: "authtoken-rust", path: file, named: file, size: 5}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := modulesNamed([]string{file + "x"}); err == nil {
		t.Error("a file that is not there is taken")
	}
}
