package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// test runs the tests, unless they passed with this commit and these modules.
func (r *run) test(ctx context.Context, _ io.Writer) (note string, confirmed bool, err error) {
	if r.state.Tested {
		return "the tests passed with this commit and these bytes", true, nil
	}
	if err := r.logged(StepTest, func(log io.Writer) error {
		if err := r.buildRest(ctx, log); err != nil {
			return err
		}
		return r.Maker.Test(ctx, r.tests(log))
	}); err != nil {
		return "", false, err
	}
	if err := r.unchanged(ctx); err != nil {
		return "", false, err
	}
	r.state.Tested = true
	return "the tests passed", false, r.saveState()
}

func (r *run) wouldTest() []string { return r.unless(r.state.Tested, "run all tests") }

// tests are the options of a test run. Its environment names the filters of the
// release.
func (r *run) tests(log io.Writer) gotest.Options {
	opts := r.Tests
	opts.Packages = r.tested()
	opts.Dist, opts.Out, opts.Err = r.Dist, log, log
	return opts
}

// buildRest builds the filters that are not released, because the repository's tests
// need all of them.
func (r *run) buildRest(ctx context.Context, out io.Writer) error {
	if r.Shard != (Shard{}) {
		return nil // only tests of its filters run
	}
	all, err := catalog.Load(catalog.LoadOptions{})
	if err != nil || len(all) == len(r.sources) {
		return err
	}
	_, err = r.Maker.Build(ctx, build.Options{Filters: all, Dist: r.Dist, Compiler: r.toolchain().Name, GoToolchain: r.GoToolchain, TinyGoVersion: r.TinyGoVersion, Out: out})
	return err
}

// e2e plays the modules in real Envoys, unless that passed before with these modules.
func (r *run) e2e(ctx context.Context, _ io.Writer) (note string, confirmed bool, err error) {
	if !r.played() {
		var played scenario.Report
		if err := r.logged(StepE2E, func(log io.Writer) (err error) {
			opts := r.tests(log)
			opts.Filters = r.release.Names()
			played, err = r.Maker.E2E(ctx, opts)
			return err
		}); err != nil {
			return "", false, err
		}
		if err := r.unchanged(ctx); err != nil {
			return "", false, err
		}
		if err := r.checkPlayed(played); err != nil {
			return "", false, err
		}
		r.state.Played = &played
		err = r.saveState()
	} else {
		confirmed = true
	}
	return "with exactly these bytes: " + allTests(*r.state.Played).String(), confirmed, err
}

// allTests are the tests of all filters. A scenario's name is unique only in its filter.
func allTests(report scenario.Report) attest.Tests {
	var all attest.Tests
	for filter := range report.Modules {
		for _, t := range attest.TestsOf(report, filter) {
			t.Scenario = filter + "/" + t.Scenario
			all = append(all, t)
		}
	}
	return all
}

func (r *run) wouldE2E() []string {
	return r.unless(r.played(), "play the scenarios in real Envoys with exactly these bytes")
}

// played reports whether an earlier run played these modules.
func (r *run) played() bool { return r.state.Played != nil && r.checkPlayed(*r.state.Played) == nil }

// checkPlayed compares the modules that e2e reports with those that are released, and
// looks whether everything passed.
func (r *run) checkPlayed(report scenario.Report) error {
	if !reflect.DeepEqual(report.Modules, r.state.Modules) {
		return fmt.Errorf("it ran other modules than those that are released: their wasm sha256 are %v, not %v", report.Modules, r.state.Modules)
	}
	for _, result := range report.Results {
		if result.Outcome != scenario.Passed && result.Outcome != scenario.LeftOut {
			return fmt.Errorf("scenario %q of %s in Envoy %s: the outcome is %q", result.Scenario, result.Filter, result.EnvoyVersion, result.Outcome)
		}
	}
	if len(report.EnvoyVersions) == 0 || !allTests(report).Passed() {
		return errors.New("nothing was played in any Envoy")
	}
	return nil
}

// tail is how much of a log is shown when its step fails.
const tail = 8 << 10

// logged runs a step that prints too much for the list of steps, with a file to print
// to. If it fails, it shows the end of the file.
func (r *run) logged(step string, do func(log io.Writer) error) (err error) {
	path := r.work(step + ".log")
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	fmt.Fprintf(r.list, "its output goes to %s\n", path)
	if err := do(log); err != nil {
		r.showEnd(log)
		return fmt.Errorf("%w; all of its output is in %s", err, path)
	}
	return nil
}

// showEnd shows the last lines of a log.
func (r *run) showEnd(log *os.File) {
	size, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return // the error that is being returned names the file
	}
	text, err := io.ReadAll(io.NewSectionReader(log, max(0, size-tail), tail))
	if err != nil {
		return
	}
	if size > tail {
		_, after, _ := strings.Cut(string(text), "\n")
		text = []byte("...\n" + after)
	}
	fmt.Fprintf(r.list, "%s\n", strings.TrimRight(string(text), "\n"))
}
