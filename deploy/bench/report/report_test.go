package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/bench/cost"
	"github.com/slipway-wasm/slipway/deploy/bench/pipeline"
)

func TestWriteFiles(t *testing.T) {
	t.Parallel()
	r, err := New(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	if r.Machine.CPUs == 0 || r.Machine.MemoryMiB == 0 {
		t.Errorf("the machine is %+v", r.Machine)
	}
	r.Filters = &cost.Result{Envoy: "1.40.0", Traffic: []cost.Traffic{{Name: "direct", Rows: []*cost.Row{
		{Name: "no filter"}, {Name: "headers (tinygo)", Added: cost.Spread{Low: 5, Median: 6, High: 10}},
	}}}}
	r.Pipeline = &pipeline.Result{Steps: []*pipeline.Step{{Name: "push", Rows: []pipeline.Row{{Filters: 1, Changed: 1, Seconds: 2, Writes: 5}}}}}
	dir := filepath.Join(t.TempDir(), "dist")
	if err := r.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil || back.Machine != r.Machine ||
		back.Filters.Traffic[0].Rows[1].Added != r.Filters.Traffic[0].Rows[1].Added || back.Pipeline.Steps[0].Rows[0] != r.Pipeline.Steps[0].Rows[0] {
		t.Errorf("bench.json does not read back: %v\n%s", err, data)
	}
	text, err := os.ReadFile(filepath.Join(dir, "bench.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{r.Machine.OS, r.Filters.Markdown(), r.Pipeline.Markdown()} {
		if !strings.Contains(string(text), want) {
			t.Errorf("bench.md has no %q:\n%s", want, text)
		}
	}
	for _, plot := range []string{"bench-direct.svg", "bench-pipeline.svg"} {
		if _, err := os.Stat(filepath.Join(dir, plot)); err != nil || !strings.Contains(string(text), "]("+plot+")") {
			t.Errorf("the plot %s: %v; or bench.md does not show it", plot, err)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	rebuilt := &pipeline.Result{Steps: []*pipeline.Step{{Name: "build", Rows: []pipeline.Row{{Filters: 3, Built: 1}}}}}
	for _, tc := range []struct {
		name   string
		report Report
		table  string // in it
		failed bool
	}{
		{"only filters", Report{Filters: &cost.Result{Traffic: []cost.Traffic{{Name: "direct"}}}}, "Envoy answers", false},
		{"only pipeline", Report{Pipeline: rebuilt}, "build", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var table strings.Builder
			if err := tc.report.WriteTable(&table); err != nil || !strings.Contains(table.String(), tc.table) {
				t.Errorf("table: %v\n%s", err, table.String())
			}
			if err := tc.report.Err(); (err != nil) != tc.failed {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
