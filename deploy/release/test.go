package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/gotest"
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
	opts.Dist, opts.Out, opts.Err = r.Dist, log, log
	return opts
}

// buildRest builds the filters that are not released, because the repository's tests
// need all of them.
func (r *run) buildRest(ctx context.Context, out io.Writer) error {
	all, err := catalog.Load(catalog.LoadOptions{})
	if err != nil || len(all) == len(r.sources) {
		return err
	}
	_, err = r.Maker.Build(ctx, build.Options{Filters: all, Dist: r.Dist, Compiler: r.toolchain().Name, GoToolchain: r.GoToolchain, TinyGoVersion: r.TinyGoVersion, Out: out})
	return err
}

// e2e plays the modules in real Envoys, unless that passed before with these modules.
func (r *run) e2e(ctx context.Context, _ io.Writer) (note string, confirmed bool, err error) {
	if r.state.Played == nil {
		var played gotest.Played
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
	return fmt.Sprintf("%d checks passed in Envoy %s, with exactly these bytes", r.state.Played.Checks, strings.Join(r.state.Played.EnvoyVersions, ", ")), confirmed, err
}

func (r *run) wouldE2E() []string {
	return r.unless(r.state.Played != nil, "play the scenarios in real Envoys with exactly these bytes")
}

// checkPlayed compares the modules that e2e reports with those that are released.
func (r *run) checkPlayed(played gotest.Played) error {
	switch {
	case !reflect.DeepEqual(played.Modules, r.state.Modules):
		return fmt.Errorf("it ran other modules than those that are released: their wasm sha256 are %v, not %v", played.Modules, r.state.Modules)
	case played.Checks == 0 || len(played.EnvoyVersions) == 0:
		return errors.New("nothing was checked in any Envoy")
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
