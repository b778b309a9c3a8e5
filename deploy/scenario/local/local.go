// Package local plays scenarios in Envoys of this machine.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/play"
)

// Options say what is played, and in which Envoys. All fields but Source and Run are
// required.
type Options struct {
	// Filters are the filters, and Modules their modules by the filters' names.
	Filters []catalog.Filter
	Modules map[string]Module
	// Source replaces the module of a scenario's filter. Default: none is replaced.
	Source func(s *scenario.Scenario, filter string) (Module, bool)
	// Scenarios are the scenarios, as scenario.Load returns them. One that needs a filter that
	// is not among Filters is left out.
	Scenarios []scenario.Scenario
	// Envoys play them.
	Envoys []envoy.Binary
	// Run narrows what is played to scenarios whose filter/name matches. Default: all.
	Run *regexp.Regexp
	// Dir gets logs and configurations.
	Dir string
}

// Results are what became of the scenarios, sorted by filter, Envoy and scenario.
type Results struct {
	// Report is the report, with the wasm sha256 sums of the modules that were played.
	scenario.Report
	// Failures are the errors of the scenarios that failed.
	Failures []error
}

// Play plays the scenarios in each Envoy. Those that disturb each other get Envoys of their
// own. A scenario that fails is no error, but one of the results.
func Play(ctx context.Context, o Options) (Results, error) {
	r := Results{Report: scenario.Report{Modules: map[string]string{}}}
	all, err := o.all()
	if err != nil {
		return r, err
	}
	end, err := o.serve()
	if err != nil {
		return r, fmt.Errorf("play scenarios: %w", err)
	}
	defer end()
	for _, binary := range o.Envoys {
		r.EnvoyVersions = append(r.EnvoyVersions, binary.Version)
	}
	if err := r.play(ctx, all, o); err != nil {
		return r, fmt.Errorf("play scenarios in %w", err)
	}
	r.finish(o)
	return r, nil
}

// all are the scenarios to play: those of the options, and that every filter starts as shipped.
func (o *Options) all() ([]scenario.Scenario, error) {
	all := slices.Clone(o.Scenarios)
	for _, f := range o.Filters {
		all = append(all, scenario.AsShipped(f))
	}
	if o.Run != nil {
		all = slices.DeleteFunc(all, func(s scenario.Scenario) bool { return !o.Run.MatchString(s.Filter + "/" + s.Name) })
		if len(all) == 0 {
			return nil, fmt.Errorf("play scenarios: none matches %s", o.Run)
		}
	}
	return all, nil
}

// finish names the modules that were played, and sorts the results.
func (r *Results) finish(o Options) {
	for _, result := range r.Results {
		if m, ok := o.Modules[result.Filter]; ok {
			r.Modules[result.Filter] = m.Remote.SHA256
		}
	}
	version := func(r scenario.Result) int {
		return slices.IndexFunc(o.Envoys, func(b envoy.Binary) bool { return b.Version == r.EnvoyVersion })
	}
	slices.SortStableFunc(r.Results, func(a, b scenario.Result) int {
		return cmp.Or(strings.Compare(a.Filter, b.Filter), cmp.Compare(version(a), version(b)), strings.Compare(a.Scenario, b.Scenario))
	})
}

// serve serves the modules that are files only, until end is called.
//
// Envoy could read them by itself. But then it does not start at all with a configuration that a
// filter refuses, and in production it fetches them.
func (o *Options) serve() (end func(), err error) {
	storage, err := httpstore.Serve(httpstore.ServeOptions{Dir: filepath.Join(o.Dir, "storage")})
	if err != nil {
		return nil, err
	}
	end = func() { _ = storage.Close() } // all Envoys have ended
	served := map[string]Module{}
	for name, m := range o.Modules {
		if m.Remote.URL == "" {
			wasm, err := os.ReadFile(m.Path)
			if err == nil {
				err = storage.Add(name+".wasm", m.Path)
			}
			if err != nil {
				end()
				return nil, err
			}
			m.Remote.URL, m.Remote.SHA256 = storage.URL(name+".wasm"), checksum.Bytes(wasm)
		}
		served[name] = m
	}
	o.Modules = served
	return end, nil
}

// Start starts one Envoy for scenarios that do not disturb each other, whatever Options.Scenarios
// has. Each module needs a URL. The caller plays them, and closes the Proxy.
func Start(ctx context.Context, scenarios []scenario.Scenario, o Options) (*Proxy, error) {
	var parts []*part
	for i := range scenarios {
		plugins, err := scenarios[i].Plugins(o.Filters)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", scenarios[i].File, err)
		}
		parts = append(parts, newPart(&scenarios[i], plugins))
	}
	return start(ctx, o.Envoys[0], o.Dir, parts, o)
}

// sideBySide limits how many scenarios are played at once. They mostly wait, so that more can run
// side by side than there are processors.
const sideBySide = 16

// play plays the scenarios in all Envoys. Only few of these start at once: an Envoy that starts
// compiles modules, which keeps two processors busy, and all would be ready only when the last one
// is. So scenarios, which mostly wait, are played while the next Envoy starts.
func (r *Results) play(ctx context.Context, all []scenario.Scenario, o Options) error {
	parts := make([][]*part, len(o.Envoys))
	for i, binary := range o.Envoys {
		var err error
		if parts[i], err = r.parts(all, binary.Version, o); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	starting := make(chan struct{}, max(1, runtime.NumCPU()/2))
	limit := make(chan struct{}, sideBySide)
	playIn := func(binary envoy.Binary, dir string, parts []*part) error {
		p, err := start(ctx, binary, dir, parts, o)
		<-starting
		if err != nil {
			return err
		}
		r.playAll(ctx, p, binary.Version, limit, &mu)
		return errors.Join(ctx.Err(), p.Close())
	}
	for i := range o.Envoys {
		for j, parts := range groupParts(parts[i]) {
			starting <- struct{}{}
			group.Go(func() error {
				if err := playIn(o.Envoys[i], filepath.Join(o.Dir, o.Envoys[i].Version, fmt.Sprint(j)), parts); err != nil {
					return fmt.Errorf("Envoy %s: %w", o.Envoys[i].Version, err) //nolint:staticcheck // a name
				}
				return nil
			})
		}
	}
	return group.Wait()
}

// playAll plays the scenarios of an Envoy side by side, as many at once as limit has room for. mu
// guards the results.
func (r *Results) playAll(ctx context.Context, p *Proxy, version string, limit chan struct{}, mu *sync.Mutex) {
	var playing sync.WaitGroup
	for _, s := range p.Stages {
		playing.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			began := time.Now()
			played, err := play.Play(ctx, s.Scenario, s)
			mu.Lock()
			defer mu.Unlock()
			r.add(s.Scenario, version, played, time.Since(began), err)
		})
	}
	playing.Wait()
}

// parts are the scenarios that an Envoy version plays. The others are among the results.
func (r *Results) parts(all []scenario.Scenario, version string, o Options) ([]*part, error) {
	var parts []*part
	for i := range all {
		s := &all[i]
		if why := leftOut(s, version, o.Filters); why != "" {
			r.add(s, version, play.Played{LeftOut: []string{why}}, 0, nil)
			continue
		}
		plugins, err := s.Plugins(o.Filters)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.File, err)
		}
		parts = append(parts, newPart(s, plugins))
	}
	return parts, nil
}

// leftOut returns the reason why a scenario is not played, or "" if it is.
func leftOut(s *scenario.Scenario, version string, filters []catalog.Filter) string {
	if why := s.Proxy.Leaves(version); why != "" {
		return why
	}
	for _, link := range s.Links() {
		if !slices.ContainsFunc(filters, func(f catalog.Filter) bool { return f.Name == link.Filter }) {
			return "filter " + link.Filter + " of its chain is left out"
		}
	}
	return ""
}

func (r *Results) add(s *scenario.Scenario, version string, played play.Played, took time.Duration, err error) {
	result := scenario.Result{
		Scenario: s.Name, Filter: s.Filter, EnvoyVersion: version, Outcome: scenario.Passed, Steps: played.Steps, Duration: took,
	}
	switch {
	case err != nil:
		result.Outcome, result.Reason = scenario.Failed, err.Error()
		r.Failures = append(r.Failures, fmt.Errorf("Envoy %s: %w", version, err)) //nolint:staticcheck // a name
	case len(played.LeftOut) > 0:
		result.Outcome, result.Reason = scenario.LeftOut, strings.Join(played.LeftOut, "; ")
	}
	r.Results = append(r.Results, result)
}
