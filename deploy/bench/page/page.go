// Package page writes the parts of a report: tables for a terminal and for Markdown,
// and plots.
package page

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/google/renameio/v2"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/slipway-wasm/slipway/deploy/build"
)

// Table is rows of cells under the names of the columns.
type Table struct {
	Columns []string
	Rows    [][]string
}

// Only returns the table with some of its columns.
func (t Table) Only(columns ...string) Table {
	only := Table{Columns: columns}
	for _, row := range t.Rows {
		var cells []string
		for _, column := range columns {
			cells = append(cells, row[slices.Index(t.Columns, column)])
		}
		only.Rows = append(only.Rows, cells)
	}
	return only
}

// Write prints the table for a terminal.
func (t Table) Write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(t.Columns, "\t"))
	for _, row := range t.Rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

// Markdown returns the table in Markdown. Numbers, which are in all but the first
// column, are flush right.
func (t Table) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|---|%s\n", strings.Join(t.Columns, " | "), strings.Repeat("---:|", len(t.Columns)-1))
	for _, row := range t.Rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return b.String()
}

// width is the width of every plot: what a README on GitHub has room for.
const width = vg.Length(640)

// WritePlot writes a plot of the given height to an SVG file.
func WritePlot(p *plot.Plot, height vg.Length, file string) error {
	// White, or the text cannot be read on a dark page.
	p.BackgroundColor = color.White
	canvas := vgsvg.New(width, height)
	p.Draw(draw.New(canvas))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return fmt.Errorf("plot %s: %w", file, err)
	}
	return renameio.WriteFile(file, out.Bytes(), 0o644)
}

// Compiler names a compiler and the release of Go that it used.
func Compiler(t build.Toolchain) string {
	return t.Name + " " + t.Version + " (Go " + strings.TrimPrefix(t.GoVersion, "go") + ")"
}
