package e2e

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
)

// row is one check in one Envoy.
type row struct {
	scenario string
	filters  string
	check    string
	envoy    string
	took     time.Duration
	failed   bool
}

func (r row) done(began time.Time, err error) row {
	r.took, r.failed = time.Since(began), err != nil
	return r
}

// report collects rows from tests that run side by side.
type report struct {
	mu   sync.Mutex
	rows []row
}

func (r *report) add(rows ...row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, rows...)
}

// envoys returns the versions of Envoy that ran, in ascending order.
func (r *report) envoys() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	versions := make(map[string]bool)
	for _, row := range r.rows {
		versions[row.envoy] = true
	}
	return slices.SortedFunc(maps.Keys(versions), func(a, b string) int {
		x, err := semver.NewVersion(a)
		y, err2 := semver.NewVersion(b)
		if err != nil || err2 != nil {
			return strings.Compare(a, b) // an Envoy that somebody built
		}
		return x.Compare(y)
	})
}

// print writes what was checked, by scenario, the checks of each in their order. It
// fits a narrow terminal.
func (r *report) print(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rows) == 0 {
		return
	}
	slices.SortStableFunc(r.rows, func(a, b row) int {
		return cmp.Or(strings.Compare(a.filters, b.filters), strings.Compare(a.scenario, b.scenario), strings.Compare(a.envoy, b.envoy))
	})
	failed, last := 0, ""
	for _, row := range r.rows {
		heading := fmt.Sprintf("%s: %s, Envoy %s", row.filters, row.scenario, row.envoy)
		if heading != last {
			fmt.Fprintln(w, heading)
			last = heading
		}
		result := ""
		if row.failed {
			result = "FAILED: "
			failed++
		}
		fmt.Fprintf(w, "  %7.2fs  %s%s\n", row.took.Seconds(), result, row.check)
	}
	fmt.Fprintf(w, "%d checks, %d failed\n", len(r.rows), failed)
}
