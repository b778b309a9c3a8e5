package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/local"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// options say what to play, and where results go.
type options struct {
	Root, Dist, Results string // folders
	Run                 string
	Config              variables.Values
	Out                 io.Writer
}

func e2e(ctx context.Context, o options) (err error) {
	// Whatever happens, the results are not those of an earlier run.
	for _, file := range []string{scenario.ReportFile, scenario.JUnitFile} {
		if err := os.RemoveAll(filepath.Join(o.Results, file)); err != nil {
			return err
		}
	}
	var run *regexp.Regexp
	if o.Run != "" {
		if run, err = regexp.Compile(o.Run); err != nil {
			return fmt.Errorf("-run: %w", err)
		}
	}
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(o.Root, "filter"), Names: o.Config.Filters})
	if err != nil {
		return err
	}
	scenarios, err := scenario.Load(filters)
	if err != nil {
		return err
	}
	built, err := build.Load(o.Dist, catalog.NamesOf(filters))
	if err != nil {
		return err
	}
	envoys, err := findEnvoys(ctx, o)
	if err != nil {
		return err
	}
	dir, remove, err := scratch.Dir("", "e2e-")
	if err != nil {
		return err
	}
	modules := map[string]local.Module{}
	for i, m := range built {
		wasm, err := os.ReadFile(m.Path)
		if err != nil {
			return err
		}
		// Envoy tells nobody of a filter that refuses its configuration silently, and lets
		// requests pass if it is to fail open.
		if err := inspect.Shipped(ctx, filters[i], wasm); err != nil {
			return err
		}
		modules[m.Name] = local.Module{Path: m.Path}
	}
	results, err := local.Play(ctx, local.Options{Filters: filters, Modules: modules, Scenarios: scenarios, Envoys: envoys, Run: run, Dir: dir})
	if err != nil {
		return fmt.Errorf("%w\nlogs and configurations are kept in %s", err, dir)
	}
	results.Run = o.Run
	print(o.Out, results)
	if err := write(o.Results, results.Report); err != nil {
		return err
	}
	if len(results.Failures) > 0 {
		return fmt.Errorf("%d scenarios failed; logs and configurations are kept in %s", len(results.Failures), dir)
	}
	return remove()
}

// findEnvoys finds all versions of the matrix before anything starts.
func findEnvoys(ctx context.Context, o options) ([]envoy.Binary, error) {
	versions := o.Config.EnvoyVersions
	if len(versions) == 0 {
		versions = []string{""}
	}
	path := o.Config.EnvoyPath
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(o.Root, path)
	}
	var found []envoy.Binary
	var errs []error
	for _, version := range versions {
		binary, err := envoy.Find(ctx, envoy.FindOptions{Version: version, Path: path, Log: o.Out})
		errs = append(errs, err)
		found = append(found, binary)
	}
	return found, errors.Join(errs...)
}

func print(w io.Writer, r local.Results) {
	last := ""
	steps := 0
	for _, result := range r.Results {
		if heading := fmt.Sprintf("%s, Envoy %s", result.Filter, result.EnvoyVersion); heading != last {
			fmt.Fprintln(w, heading)
			last = heading
		}
		steps += result.Steps
		text := fmt.Sprintf("%d steps", result.Steps)
		switch result.Outcome {
		case scenario.Failed:
			text = "FAILED"
		case scenario.LeftOut:
			text = "left out: " + result.Reason
		}
		fmt.Fprintf(w, "  %7.2fs  %-32s  %s\n", result.Duration.Seconds(), result.Scenario, text)
	}
	for _, failure := range r.Failures {
		fmt.Fprintf(w, "\n%v\n", failure)
	}
	fmt.Fprintf(w, "%d scenarios, %d steps, %d failed, %d left out\n", len(r.Results), steps, r.Count(scenario.Failed), r.Count(scenario.LeftOut))
}

func write(dir string, r scenario.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := r.Write(dir); err != nil {
		return err
	}
	junit, err := junitXML(r)
	if err != nil {
		return err
	}
	return scratch.WriteFile(filepath.Join(dir, scenario.JUnitFile), junit, 0o644)
}
