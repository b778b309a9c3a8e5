package rollout

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// row is one step, with the time until what must follow was seen.
type row struct {
	scenario, step string
	took           time.Duration
	failed         bool
}

// report collects rows from scenarios that are played side by side.
type report struct {
	mu   sync.Mutex
	rows []row
}

func (r *report) add(row row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
}

// print writes the table, scenario by scenario, the steps of each in their order.
func (r *report) print(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortStableFunc(r.rows, func(a, b row) int { return strings.Compare(a.scenario, b.scenario) })
	failed := 0
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SCENARIO\tSTEP\tSEEN AFTER\t")
	for _, row := range r.rows {
		result := ""
		if row.failed {
			result = "FAILED"
			failed++
		}
		fmt.Fprintf(table, "%s\t%s\t%.2fs\t%s\n", row.scenario, row.step, row.took.Seconds(), result)
	}
	table.Flush() //nolint:errcheck // nobody is left to be told
	fmt.Fprintf(w, "%d steps, %d failed\n", len(r.rows), failed)
}
