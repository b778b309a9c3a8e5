package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/play"
)

// Guest plays scenarios in an Envoy that runs already, again and again. Envoy compiles a module
// that it has for somebody else no second time, which is most of what scenarios cost.
//
// The Envoy has one worker thread, and was configured with the folder of the Guest as
// envoyconf.BuildOptions.Dynamic.
type Guest struct {
	dir      string
	clusters []string
	version  int
}

// NewGuest returns a Guest that writes what Envoy follows to a folder. Envoy must start after
// that. clusters are the names of the clusters that the Envoy has of its own.
func NewGuest(dir string, clusters []string) (*Guest, error) {
	g := &Guest{dir: dir, clusters: clusters}
	for _, file := range []string{envoyconf.ListenersFile(dir), envoyconf.ClustersFile(dir)} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, err
		}
	}
	_, err := g.write(nil)
	return g, err
}

// Play plays the scenarios in the Envoy, which is the one of Options.Envoys. Those that disturb
// each other are played one after the other. See the function Play.
//
// An Envoy that has a module already refuses a whole listener if a filter refuses its
// configuration. Only one that still fetches the module runs the listener, as proxies in
// production do. So scenarios among which one refuses, and whose modules are not new, get an
// Envoy of their own. So does a scenario with a cluster that the Envoy has already, and one that
// fails and looks at statistics, which the Envoy's own filters may have changed.
func (g *Guest) Play(ctx context.Context, proxy *envoy.Proxy, o Options) (Results, error) {
	r, err := g.play(ctx, proxy, o)
	// Nothing of it stays in the Envoy.
	_, cleanErr := g.write(nil)
	if err := errors.Join(err, cleanErr); err != nil {
		return r, fmt.Errorf("play scenarios in Envoy %s: %w", o.Envoys[0].Version, err)
	}
	return r, nil
}

func (g *Guest) play(ctx context.Context, proxy *envoy.Proxy, o Options) (Results, error) {
	r := Results{Report: scenario.Report{Modules: map[string]string{}, EnvoyVersions: []string{o.Envoys[0].Version}}}
	end, err := o.serve()
	if err != nil {
		return r, err
	}
	defer end()
	all, err := o.all()
	if err != nil {
		return r, err
	}
	parts, err := r.parts(all, o.Envoys[0].Version, o)
	if err != nil {
		return r, err
	}
	var fitting []*part
	for _, p := range parts {
		if p.Proxy.Workers > 1 {
			r.add(p.Scenario, o.Envoys[0].Version, play.Played{LeftOut: []string{"the Envoy has one worker thread"}}, 0, nil)
			continue
		}
		fitting = append(fitting, p)
	}
	// While the modules are new.
	slices.SortStableFunc(fitting, func(a, b *part) int { return cmp.Compare(refuses(b), refuses(a)) })
	var apart []*part
	fitting = slices.DeleteFunc(fitting, func(p *part) bool {
		taken := slices.ContainsFunc(p.clusters, func(name string) bool { return slices.Contains(g.clusters, name) })
		if taken {
			apart = append(apart, p)
		}
		return taken
	})
	for _, group := range groupParts(fitting) {
		var played Results
		switch err := g.group(ctx, proxy, group, o, &played); {
		case errors.Is(err, errRefused):
			apart = append(apart, group...)
		case err != nil:
			return r, err
		default:
			apart = append(apart, r.keep(played, group)...)
		}
	}
	for i, group := range groupParts(apart) {
		if err := g.alone(ctx, group, filepath.Join(o.Dir, fmt.Sprintf("alone-%d", i)), o, &r); err != nil {
			return r, err
		}
	}
	r.finish(o)
	return r, nil
}

// refuses is 1 if the scenario is about a configuration that is refused, or else 0.
func refuses(p *part) int {
	if p.Steps[0].Expect.Refusal != nil {
		return 1
	}
	return 0
}

// keep takes over results, but for those of scenarios that have to be played again.
func (r *Results) keep(played Results, parts []*part) (again []*part) {
	for _, p := range parts {
		failed := func(failure error) bool {
			var e *play.Error
			return errors.As(failure, &e) && e.Scenario == p.Scenario
		}
		if len(p.counted) > 0 && slices.ContainsFunc(played.Failures, failed) {
			again = append(again, p)
			played.Failures = slices.DeleteFunc(played.Failures, failed)
			played.Results = slices.DeleteFunc(played.Results, func(result scenario.Result) bool {
				return result.Filter == p.Filter && result.Scenario == p.Name
			})
		}
	}
	r.Results, r.Failures = append(r.Results, played.Results...), append(r.Failures, played.Failures...)
	return again
}

// alone plays scenarios in an Envoy of their own.
func (*Guest) alone(ctx context.Context, parts []*part, dir string, o Options, r *Results) error {
	p, err := start(ctx, o.Envoys[0], dir, parts, o)
	if err != nil {
		return err
	}
	r.playAll(ctx, p, o.Envoys[0].Version, make(chan struct{}, len(p.Stages)), new(sync.Mutex))
	return errors.Join(ctx.Err(), p.Close())
}

// group plays scenarios that do not disturb each other.
func (g *Guest) group(ctx context.Context, proxy *envoy.Proxy, parts []*part, o Options, r *Results) (err error) {
	p := &Proxy{Proxy: proxy, guest: true}
	defer func() { err = errors.Join(err, p.Close()) }()
	build, err := p.prepare(parts, filepath.Join(o.Dir, fmt.Sprint(g.version)), fmt.Sprintf(".%d", g.version), o)
	if err != nil {
		return err
	}
	before := map[string]string{}
	for _, path := range []string{play.StatisticsPage, play.PrometheusPage} {
		if before[path], err = proxy.Get(ctx, path); err != nil {
			return err
		}
	}
	mark := proxy.Log().Mark()
	for _, s := range p.Stages {
		s.mark, s.before = mark, before
	}
	if err := g.set(ctx, proxy, build); err != nil {
		return err
	}
	if err := p.locate(ctx); err != nil {
		return err
	}
	r.playAll(ctx, p, o.Envoys[0].Version, make(chan struct{}, len(p.Stages)), new(sync.Mutex))
	return ctx.Err()
}

// errRefused says that Envoy refuses a listener.
var errRefused = errors.New("Envoy refuses it") //nolint:staticcheck // a name

// set gives Envoy listeners and clusters, and waits until it listens.
func (g *Guest) set(ctx context.Context, proxy *envoy.Proxy, build envoyconf.BuildOptions) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("Envoy does not listen after %v", readyTimeout)) //nolint:staticcheck // a name
	defer cancel()
	before, err := proxy.Stats(ctx)
	if err != nil {
		return err
	}
	mark := proxy.Log().Mark()
	writeListeners, err := g.write(&build)
	if err != nil {
		return err
	}
	updated := func(api string) func(map[string]uint64) (bool, error) {
		return func(now map[string]uint64) (bool, error) {
			if now[api+".update_rejected"] > before[api+".update_rejected"] {
				return false, fmt.Errorf("%w:\n%s", errRefused, strings.Join(relevant(proxy.Log().Lines(mark)), "\n"))
			}
			return now[api+".update_success"] > before[api+".update_success"], nil
		}
	}
	if err := await(ctx, proxy, updated("cluster_manager.cds")); err != nil {
		return err
	}
	if err := writeListeners(); err != nil {
		return err
	}
	listening := updated("listener_manager.lds")
	return await(ctx, proxy, func(now map[string]uint64) (bool, error) {
		ok, err := listening(now)
		return ok && now["listener_manager.total_listeners_warming"] == 0, err
	})
}

func relevant(lines []string) []string {
	var kept []string
	for _, line := range lines {
		if envoy.Relevant(line) {
			kept = append(kept, "  "+line)
		}
	}
	return kept
}

// await asks for statistics until see is content with them.
func await(ctx context.Context, proxy *envoy.Proxy, see func(map[string]uint64) (bool, error)) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		// The admin interface does not answer while Envoy compiles: its thread is the same.
		now, err := proxy.Stats(ctx)
		if err == nil {
			var ok bool
			if ok, err = see(now); ok {
				return nil
			}
		}
		if err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// write writes the clusters, and returns what writes the listeners. Without options it writes
// both: there are none.
func (g *Guest) write(build *envoyconf.BuildOptions) (writeListeners func() error, err error) {
	g.version++
	listeners, clusters, err := envoyconf.Dynamic(build, fmt.Sprint(g.version))
	if err != nil {
		return nil, err
	}
	writeListeners = func() error { return renameio.WriteFile(envoyconf.ListenersFile(g.dir), listeners, 0o644) }
	if build == nil {
		if err := writeListeners(); err != nil {
			return nil, err
		}
	}
	return writeListeners, renameio.WriteFile(envoyconf.ClustersFile(g.dir), clusters, 0o644)
}
