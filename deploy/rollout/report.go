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
	plan, step string
	took       time.Duration
	failed     bool
	// leftOut says why the step was not played.
	leftOut string
}

// report collects rows from plans that are played side by side.
type report struct {
	mu   sync.Mutex
	rows []row
}

func (r *report) add(row row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
}

// leave notes what is not played, and why.
func (r *report) leave(plan, step, why string) { r.add(row{plan: plan, step: step, leftOut: why}) }

// print writes the table, plan by plan, the steps of each in their order, and then what was
// left out.
func (r *report) print(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortStableFunc(r.rows, func(a, b row) int { return strings.Compare(a.plan, b.plan) })
	played, failed, leftOut := 0, 0, 0
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PLAN\tSTEP\tSEEN AFTER\t")
	for _, row := range r.rows {
		if row.leftOut != "" {
			continue
		}
		played++
		result := ""
		if row.failed {
			result = "FAILED"
			failed++
		}
		fmt.Fprintf(table, "%s\t%s\t%.2fs\t%s\n", row.plan, row.step, row.took.Seconds(), result)
	}
	table.Flush() //nolint:errcheck // nobody is left to be told
	for _, row := range r.rows {
		if row.leftOut != "" {
			leftOut++
			fmt.Fprintf(w, "left out of %s: %s: %s\n", row.plan, row.step, row.leftOut)
		}
	}
	fmt.Fprintf(w, "%d steps, %d failed, %d left out\n", played, failed, leftOut)
}
