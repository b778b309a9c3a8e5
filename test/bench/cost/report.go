package cost

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/google/renameio/v2"
)

var columns = []string{
	"filter", "size KB", "added CPU µs", "quartiles", "CPU µs", "ratio", "requests/s", "p50 µs", "p99 µs", "max ms", "RSS before MiB", "after", "errors",
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

// WriteTable prints the numbers for a terminal.
func (r *Result) WriteTable(out io.Writer) error {
	for _, t := range r.Traffic {
		fmt.Fprintf(out, "\n%s\n", title(t))
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, strings.Join(columns, "\t"))
		for _, row := range t.Rows {
			fmt.Fprintln(w, strings.Join(cells(row), "\t"))
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("print the result: %w", err)
		}
	}
	return nil
}

// WriteFiles writes bench.json, bench.md and its plots into a folder.
func (r *Result) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := r.Save(filepath.Join(dir, "bench.json")); err != nil {
		return err
	}
	for _, t := range r.Traffic {
		if err := plotAdded(t, filepath.Join(dir, plotFile(t))); err != nil {
			return fmt.Errorf("plot the result: %w", err)
		}
	}
	return renameio.WriteFile(filepath.Join(dir, "bench.md"), []byte(r.markdown()), 0o644)
}

func plotFile(t Traffic) string { return "bench-" + t.Name + ".svg" }

func (r *Result) markdown() string {
	var b strings.Builder
	var compilers []string
	for _, c := range r.Compilers {
		compilers = append(compilers, c.Name+" "+c.Version+" (Go "+strings.TrimPrefix(c.GoVersion, "go")+")")
	}
	fmt.Fprintf(&b, "# What filters cost\n\n")
	fmt.Fprintf(&b, "Envoy %s with one worker on %s, %s, %d × %s, %d MiB of memory; filters of commit %s by %s; %s. Written by `go tool mage bench`.\n\n",
		r.Envoy, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, r.Machine.CPU, r.Machine.MemoryMiB,
		r.Commit, strings.Join(compilers, " and "), r.Time.Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(&b, "Each had %d rounds of %d requests over %d connections, in turn with all others. CPU is the processor time of Envoy's process "+
		"for a request; *added* is what of it is more than without a filter in the same round, as the median of all rounds with its quartiles. "+
		"*%s* is measured like a filter: what it adds is the error of this run.\n", r.Rounds, r.Requests, r.Connections, again)
	for _, t := range r.Traffic {
		fmt.Fprintf(&b, "\n## %s\n\n![added CPU time](%s)\n\n", title(t), plotFile(t))
		fmt.Fprintf(&b, "| %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---:|", len(columns)-1))
		for _, row := range t.Rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells(row), " | "))
		}
	}
	return b.String()
}
