package cost

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/bench/page"
)

var columns = []string{
	"filter", "size KB", "added CPU µs", "quartiles", "CPU µs", "ratio", "requests/s", "p50 µs", "p99 µs", "max ms", "RSS MiB before", "RSS MiB", "errors",
}

func cells(row *Row) []string {
	size := "-"
	if row.Size > 0 {
		size = fmt.Sprint((row.Size + 999) / 1000)
	}
	return []string{
		row.Name,
		size,
		fmt.Sprintf("%.1f", row.Added.Median),
		fmt.Sprintf("%.1f…%.1f", row.Added.Low, row.Added.High),
		fmt.Sprintf("%.1f", row.CPU.Median),
		fmt.Sprintf("%.2f", row.Ratio.Median),
		fmt.Sprintf("%.0f", row.RequestsPerSecond),
		fmt.Sprintf("%.0f", row.P50),
		fmt.Sprintf("%.0f", row.P99),
		fmt.Sprintf("%.1f", row.Max/1000),
		fmt.Sprint(row.RSSBefore >> 20),
		fmt.Sprint(row.RSSAfter >> 20),
		fmt.Sprint(row.Errors),
	}
}

func title(t Traffic) string {
	if t.Name == direct {
		return "Envoy answers by itself"
	}
	return "httpbin answers behind Envoy"
}

func table(t Traffic) page.Table {
	table := page.Table{Columns: columns}
	for _, row := range t.Rows {
		table.Rows = append(table.Rows, cells(row))
	}
	return table
}

// WriteTable prints the numbers for a terminal.
func (r *Result) WriteTable(out io.Writer) error {
	for _, t := range r.Traffic {
		fmt.Fprintf(out, "\n%s\n", title(t))
		if err := table(t).Write(out); err != nil {
			return err
		}
	}
	return nil
}

func plotFile(t Traffic) string { return "bench-" + t.Name + ".svg" }

// WritePlots writes the plots that Markdown shows into a folder.
func (r *Result) WritePlots(dir string) error {
	for _, t := range r.Traffic {
		if err := plotAdded(t, filepath.Join(dir, plotFile(t))); err != nil {
			return err
		}
	}
	return nil
}

// Summary returns the first traffic's main numbers in Markdown, short enough for a
// README.
func (r *Result) Summary() string {
	return fmt.Sprintf("Processor time of Envoy %s for a request, more than without a filter; the second row is the error of the run:\n\n%s",
		r.Envoy, table(r.Traffic[0]).Only("filter", "size KB", "added CPU µs", "quartiles", "ratio", "p99 µs", "RSS MiB").Markdown())
}

// Markdown returns a chapter with the numbers.
func (r *Result) Markdown() string {
	var b strings.Builder
	var compilers []string
	for _, c := range r.Compilers {
		compilers = append(compilers, page.Compiler(c))
	}
	fmt.Fprintf(&b, "## What filters cost a request\n\n")
	fmt.Fprintf(&b, "Envoy %s with one worker; filters by %s.\n\n", r.Envoy, strings.Join(compilers, " and "))
	fmt.Fprintf(&b, "Each had %d rounds of %d requests over %d connections, in turn with all others. CPU is the processor time of Envoy's process "+
		"for a request; *added* is what of it is more than without a filter in the same round, as the median of all rounds with its quartiles. "+
		"*%s* is measured like a filter: what it adds is the error of this run.\n", r.Rounds, r.Requests, r.Connections, again)
	for _, t := range r.Traffic {
		fmt.Fprintf(&b, "\n### %s\n\n![added CPU time](%s)\n\n%s", title(t), plotFile(t), table(t).Markdown())
	}
	return b.String()
}
