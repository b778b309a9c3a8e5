package pipeline

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"

	"github.com/slipway-wasm/slipway/deploy/bench/page"
)

var columns = []string{
	"step", "filters", "changed", "built", "time s", "CPU s", "peak MiB", "reads", "writes", "blobs",
	"+time s", "+CPU s", "+MiB", "+reads", "+writes",
}

// explanation says what columns are.
const explanation = "Columns that begin with + are what each further filter adds, compared with the row above: where they rise, it grows faster than the number of filters."

func (r *Result) table() page.Table {
	table := page.Table{Columns: columns}
	for _, s := range r.Steps {
		for i, r := range s.Rows {
			row := r.cells(s.Name)
			if i == 0 {
				row = append(row, "-", "-", "-", "-", "-")
			} else {
				row = append(row, r.growth(s.Rows[i-1])...)
			}
			table.Rows = append(table.Rows, row)
		}
	}
	return table
}

func (r Row) cells(step string) []string {
	return []string{
		step, fmt.Sprint(r.Filters), fmt.Sprint(r.Changed), fmt.Sprint(r.Built),
		fmt.Sprintf("%.1f", r.Seconds), fmt.Sprintf("%.1f", r.CPUSeconds), fmt.Sprint(r.PeakRSS >> 20),
		fmt.Sprint(r.Reads), fmt.Sprint(r.Writes), fmt.Sprint(r.Blobs),
	}
}

// growth returns what each further filter adds in this row, compared with a row of
// fewer filters.
func (r Row) growth(less Row) []string {
	each := func(format string, more, fewer float64) string {
		return fmt.Sprintf(format, (more-fewer)/float64(r.Filters-less.Filters))
	}
	return []string{
		each("%.2f", r.Seconds, less.Seconds), each("%.2f", r.CPUSeconds, less.CPUSeconds),
		each("%.1f", float64(r.PeakRSS)/(1<<20), float64(less.PeakRSS)/(1<<20)),
		each("%.1f", float64(r.Reads), float64(less.Reads)), each("%.1f", float64(r.Writes), float64(less.Writes)),
	}
}

const title = "What the pipeline costs"

// WriteTable prints the numbers for a terminal.
func (r *Result) WriteTable(out io.Writer) error {
	fmt.Fprintf(out, "\n%s\n", title)
	if err := r.table().Write(out); err != nil {
		return err
	}
	fmt.Fprintln(out, explanation)
	return nil
}

const plotFile = "bench-pipeline.svg"

// WritePlots writes the plot that Markdown shows into a folder.
func (r *Result) WritePlots(dir string) error {
	p, err := r.plot()
	if err != nil {
		return fmt.Errorf("plot the pipeline: %w", err)
	}
	return page.WritePlot(p, vg.Points(420), filepath.Join(dir, plotFile))
}

// plot draws the seconds of each step over the number of filters.
func (r *Result) plot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "seconds by number of filters, both logarithmic"
	p.X.Label.Text = "filters"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	var lines []any
	for _, s := range r.Steps {
		var points plotter.XYs
		for _, row := range s.Rows {
			points = append(points, plotter.XY{X: float64(row.Filters), Y: row.Seconds})
		}
		lines = append(lines, s.Name, points)
	}
	if err := plotutil.AddLinePoints(p, lines...); err != nil {
		return nil, err
	}
	// A single point has no extent, which a logarithmic axis cannot show. The legend is
	// on the right, beside the lines.
	p.X.Min, p.X.Max = p.X.Min/1.2, p.X.Max*1.2*math.Pow(p.X.Max/p.X.Min, 0.45)
	p.Y.Min, p.Y.Max = p.Y.Min/1.2, p.Y.Max*1.2
	return p, nil
}

// Summary returns a row for each step in Markdown, short enough for a README.
func (r *Result) Summary() string {
	table := page.Table{Columns: []string{"step"}}
	for _, row := range r.Steps[0].Rows {
		table.Columns = append(table.Columns, fmt.Sprintf("s with %d", row.Filters))
	}
	table.Columns = append(table.Columns, "peak MiB", "reads", "writes")
	for _, s := range r.Steps {
		cells := []string{s.Name}
		for i := range r.Steps[0].Rows {
			seconds := "-"
			if i < len(s.Rows) {
				seconds = fmt.Sprintf("%.1f", s.Rows[i].Seconds)
			}
			cells = append(cells, seconds)
		}
		most := s.Rows[len(s.Rows)-1]
		table.Rows = append(table.Rows, append(cells, fmt.Sprint(most.PeakRSS>>20), fmt.Sprint(most.Reads), fmt.Sprint(most.Writes)))
	}
	return fmt.Sprintf("Seconds that a step takes with so many filters by %s; memory, and requests to the registry, with the most of them:\n\n%s",
		page.Compiler(r.Compiler), table.Markdown())
}

// Markdown returns a chapter with the numbers.
func (r *Result) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", title)
	fmt.Fprintf(&b, "Filters as `go tool mage new` writes them, in repositories of their own; built by %s. Each row is one target as a process of its own, "+
		"with a registry beside it that counts: *reads* are requests GET and HEAD, *writes* all others, *blobs* what they uploaded. "+
		"CPU is the processor time of the process and all that it ran; *peak* is the most resident memory that all of them had at one moment, "+
		"read every %d ms. *Cold* is without anything of these filters in Go's build cache, which has what all have in common; a release begins as "+
		"in a fresh clone. *Changed* are the filters that are not as in the row before, and *built* those that were compiled to `dist/`: what is unchanged "+
		"is neither built nor uploaded, or the run fails.\n\n%s\n\n",
		page.Compiler(r.Compiler), interval.Milliseconds(), explanation)
	fmt.Fprintf(&b, "![seconds by number of filters](%s)\n\n%s", plotFile, r.table().Markdown())
	return b.String()
}
