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
		return r.Test(ctx, r.Dist, log)
	}); err != nil {
		return "", false, err
	}
	if err := r.unchanged(ctx); err != nil {
		return "", false, err
	}
	r.state.Tested = true
	return "the tests passed", false, r.saveState()
}

// buildRest builds the filters that are not released: the repository's tests are
// about all of them.
func (r *run) buildRest(ctx context.Context, out io.Writer) error {
	all, err := catalog.Load(catalog.LoadOptions{})
	if err != nil || len(all) == len(r.filters) {
		return err
	}
	_, err = r.Build(ctx, build.Options{Filters: all, Dist: r.Dist, Compiler: r.modules[0].Compiler.Name, GoToolchain: r.GoToolchain, TinyGoVersion: r.TinyGoVersion, Out: out})
	return err
}

// e2e plays the modules in real Envoys, unless it did these.
func (r *run) e2e(ctx context.Context, _ io.Writer) (note string, confirmed bool, err error) {
	if r.state.Played == nil {
		var played Played
		if err := r.logged(StepE2E, func(log io.Writer) (err error) {
			played, err = r.E2E(ctx, r.Dist, r.filterNames(), log)
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

// checkPlayed compares what ran, by its own word, with what is released.
func (r *run) checkPlayed(played Played) error {
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

// logged runs what prints more than a list of steps has room for, with a file to
// print to. Its end is shown if that fails.
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
		return // the error that is on its way names the file
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
