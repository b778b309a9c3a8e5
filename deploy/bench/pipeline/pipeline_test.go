package pipeline

import (
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
)

// The targets run as people run them. A filter is built and uploaded the first time,
// and not again while it is unchanged.
func TestRun(t *testing.T) {
	// Where publishing would go if the environment were passed on.
	for _, name := range []string{"REGISTRY", "FILTERS"} {
		t.Setenv(name, "nobody.invalid")
	}
	result, err := Run(t.Context(), Options{Filters: []int{2}, Compiler: build.Go, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := result.WriteTable(t.Output()); err != nil {
		t.Fatal(err)
	}
	if err := result.Err(); err != nil {
		t.Error(err)
	}
	if result.Compiler.Name != build.Go {
		t.Errorf("built by %+v", result.Compiler)
	}
	type counts struct {
		step                  string
		changed, built, blobs int
		writes                bool
	}
	var got []counts
	for _, s := range result.Steps {
		row := s.Rows[0]
		got = append(got, counts{s.Name, row.Changed, row.Built, row.Blobs, row.Writes > 0})
		if s.Name == "push, at first" && row.Blobs == 4 {
			got[len(got)-1].blobs = 3 // either filter may mount the config that both have
		}
		if row.Filters != 2 || row.Seconds <= 0 || row.CPUSeconds <= 0 || row.PeakRSS < 5<<20 {
			t.Errorf("%s: %+v", s.Name, row)
		}
	}
	want := []counts{
		{"build, cold", 2, 2, 0, false},
		{"build, nothing changed", 0, 0, 0, false},
		{"push, at first", 2, 0, 3, true},
		{"push, nothing changed", 0, 0, 0, false},
		{"build, one filter changed", 1, 1, 0, false},
		{"push the next version", 1, 0, 1, true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("counted\n%+v, want\n%+v", got, want)
	}
}

func TestErr(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		row        Row
	}{
		{"first build", "", Row{Filters: 10, Changed: 10, Built: 10}},
		{"rebuilt", "modules built: 1, filters changed: 0", Row{Filters: 10, Built: 1}},
		{"one changed and two rebuilt", "modules built: 2, filters changed: 1", Row{Filters: 10, Changed: 1, Built: 2}},
		{"an unchanged module uploaded", "blobs uploaded: 3, filters changed: 1", Row{Filters: 2, Changed: 1, Writes: 9, Blobs: 3}},
		{"first push", "", Row{Filters: 1, Changed: 1, Writes: 6}},
		{"looked again", "", Row{Filters: 1, Reads: 6}},
		{"pushed again", "requests that write: 2, and nothing had changed", Row{Filters: 1, Writes: 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := &Result{Steps: []*Step{{Name: "step", Rows: []Row{tc.row}}}}
			err := r.Err()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("the error is %v, want %q", err, tc.want)
			}
		})
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	r := &Result{}
	r.add([]named{{"push", Row{Filters: 1, Changed: 1, Seconds: 2, CPUSeconds: 1, PeakRSS: 100 << 20, Reads: 10, Writes: 6, Blobs: 2}}})
	r.add([]named{{"push", Row{Filters: 11, Changed: 11, Seconds: 12, CPUSeconds: 6, PeakRSS: 120 << 20, Reads: 110, Writes: 66, Blobs: 22}}})
	const want = "| push | 11 | 11 | 0 | 12.0 | 6.0 | 120 | 110 | 66 | 22 | 1.00 | 0.50 | 2.0 | 10.0 | 6.0 |"
	if text := r.Markdown(); !strings.Contains(text, want) || !strings.Contains(text, "| push | 1 | 1 | 0 | 2.0 | 1.0 | 100 | 10 | 6 | 2 | - |") {
		t.Errorf("no %q in\n%s", want, text)
	}
	if err := r.WritePlots(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// The configuration of this machine does not reach the measured targets.
func TestEnvironment(t *testing.T) {
	t.Setenv("SIGN_KEY", "somebody's")
	t.Setenv("SLIPWAY_DIST", "elsewhere")
	t.Setenv("ENVOY_PATH", "/envoy")
	env := environment("COMPILER=go")
	for _, entry := range env {
		if strings.HasPrefix(entry, "SIGN_KEY=") || strings.HasPrefix(entry, "SLIPWAY_") {
			t.Errorf("%s is passed on", entry)
		}
	}
	for _, want := range []string{"ENVOY_PATH=/envoy", "COMPILER=go"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not passed on", want)
		}
	}
}
