package cost

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/slipway-wasm/slipway/deploy/bench/page"
)

// plotAdded draws the added processor time of each contestant as a bar, with the
// quartiles as a whisker.
func plotAdded(t Traffic, file string) error {
	p := plot.New()
	p.Title.Text = "added CPU per request, µs: " + title(t)
	p.X.Min = 0
	var values plotter.Values
	points := plotter.XYs{}
	whiskers := plotter.XErrors{}
	var names []string
	for i := len(t.Rows) - 1; i > 0; i-- { // from below; the first is what the others are compared with
		row := t.Rows[i]
		points = append(points, plotter.XY{X: row.Added.Median, Y: float64(len(values))})
		whiskers = append(whiskers, struct{ Low, High float64 }{row.Added.Median - row.Added.Low, row.Added.High - row.Added.Median})
		values = append(values, row.Added.Median)
		names = append(names, row.Name)
	}
	chart, err := plotter.NewBarChart(values, vg.Points(12))
	if err != nil {
		return err
	}
	chart.Horizontal = true
	chart.Color = color.RGBA{R: 0x4c, G: 0x78, B: 0xa8, A: 0xff}
	chart.LineStyle.Width = 0
	errors, err := plotter.NewXErrorBars(struct {
		plotter.XYs
		plotter.XErrors
	}{points, whiskers})
	if err != nil {
		return err
	}
	p.Add(plotter.NewGrid(), chart, errors)
	p.NominalY(names...)
	return page.WritePlot(p, vg.Points(60+22*float64(len(names))), file)
}
