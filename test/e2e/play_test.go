package e2e

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoy/authservice"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/test/e2e/scenario"
)

// These are long, because only something broken reaches them. On a busy machine V8
// takes minutes to compile the modules of the ordinary Go compiler, and meanwhile
// Envoy's main thread neither answers nor receives.
const (
	checkTimeout = time.Minute
	readyTimeout = 5 * time.Minute
	fetchTimeout = 5 * time.Minute
)

// sources say where Envoy gets a module from, by the module's name.
type sources map[string]envoyconf.Remote

// part is a scenario with the modules for it.
type part struct {
	scenario.Scenario
	from sources
}

// play plays the parts in one Envoy of the given name. A scenario that wants to be
// alone gets an Envoy of its own. (One Envoy compiles a module once for all its
// listeners, which is most of what a scenario costs.)
func play(t *testing.T, bin envoy.Binary, name string, parts []part) {
	t.Helper()
	var together []part
	for _, p := range parts {
		if !p.Alone {
			together = append(together, p)
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			stage := start(t, bin, p.Name, p.Workers, []part{p})
			stage.check(t, p)
		})
	}
	if len(together) == 0 {
		return
	}
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		stage := start(t, bin, name, 0, together)
		for _, p := range together {
			t.Run(p.Name, func(t *testing.T) {
				t.Parallel()
				stage.check(t, p)
			})
		}
	})
}

// stage is a running Envoy with the auth service of each scenario.
type stage struct {
	bin   envoy.Binary
	proxy *envoy.Proxy
	auth  map[string]*authservice.Service
}

// start brings up an Envoy with a listener for each part.
func start(t *testing.T, bin envoy.Binary, name string, workers int, parts []part) *stage {
	t.Helper()
	if suite.ctx.Err() != nil {
		t.Fatal("interrupted")
	}
	s := &stage{bin: bin, auth: map[string]*authservice.Service{}}
	for _, p := range parts {
		auth, err := authservice.Start(p.Auth)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := auth.Close(); err != nil {
				t.Error(err)
			}
		})
		s.auth[p.Name] = auth
	}
	config, err := s.configuration(parts)
	if err != nil {
		t.Fatal(err)
	}

	result := row{scenario: name, filters: filters(parts), envoy: bin.Version, check: "Envoy fetches the modules and is ready"}
	began := time.Now()
	s.proxy, err = envoy.Start(suite.ctx, envoy.StartOptions{
		Path:        bin.Path,
		Config:      config,
		Dir:         filepath.Join(suite.dir, bin.Version, name),
		Concurrency: workers,

		ReadyTimeout: readyTimeout,
	})
	suite.report.add(result.done(began, err))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.proxy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// check makes the checks of one scenario.
func (s *stage) check(t *testing.T, p part) {
	t.Helper()
	url, err := s.proxy.ListenerURL(suite.ctx, p.Name)
	if err != nil {
		t.Fatal(err)
	}
	log := s.logOf(p)
	env := &scenario.Env{URL: url, Proxy: s.proxy, Log: log, Auth: s.auth[p.Name]}
	for _, check := range p.Checks {
		t.Run(check.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(suite.ctx, checkTimeout, fmt.Errorf("gave up after %v", checkTimeout))
			defer cancel()
			result := row{scenario: p.Name, filters: filters([]part{p}), envoy: s.bin.Version, check: check.Name}
			began := time.Now()
			err := check.Run(ctx, env)
			suite.report.add(result.done(began, err))
			if err != nil {
				t.Errorf("%v\n%s", err, s.proxy.Report(func(line string) bool { return envoy.Relevant(line) && log.mine(line) }))
			}
		})
	}
}

func filters(parts []part) string {
	names := map[string]bool{}
	for _, p := range parts {
		for _, f := range p.Filters {
			names[f.Module] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ",")
}

// pluginName tells a scenario's filter from the same filter of another scenario.
func pluginName(scenario, module string) string { return scenario + "." + module }

func authCluster(scenario string) string { return "auth-" + scenario }

// configuration is the bootstrap for some scenarios.
func (s *stage) configuration(parts []part) ([]byte, error) {
	o := envoyconf.BuildOptions{Upstream: envoyconf.Address{Port: suite.httpbin}}
	for _, p := range parts {
		o.Clusters = append(o.Clusters, envoyconf.Cluster{
			Name:    authCluster(p.Name),
			Address: envoyconf.Address{Port: s.auth[p.Name].Port()},
		})
		listener := envoyconf.Listener{Name: p.Name}
		if p.Inbound {
			listener.TrafficDirection = corev3.TrafficDirection_INBOUND
		}
		for _, f := range p.Filters {
			remote, ok := p.from[f.Module]
			if !ok {
				return nil, fmt.Errorf("scenario %s: there is no module %q", p.Name, f.Module)
			}
			remote.Timeout = fetchTimeout
			if f.WrongSum {
				remote.SHA256 = strings.Repeat("0", 64)
				remote.Retries = -1 // retries take seconds and would change nothing
			}
			filter := envoyconf.Filter{
				Name:            pluginName(p.Name, f.Module),
				VMConfiguration: f.VMConfiguration,
				Configuration:   f.Configuration,
				Source:          remote,
			}
			if f.FailOpen {
				filter.FailurePolicy = wasmv3.FailurePolicy_FAIL_OPEN
			}
			listener.Filters = append(listener.Filters, filter)
		}
		o.Listeners = append(o.Listeners, listener)
	}
	return envoyconf.Render(o)
}

// scenarioLog is a proxy's log without what the filters of other scenarios wrote.
type scenarioLog struct {
	*envoy.Log
	plugins []string
}

func (s *stage) logOf(p part) scenarioLog {
	log := scenarioLog{Log: s.proxy.Log()}
	for _, f := range p.Filters {
		log.plugins = append(log.plugins, pluginName(p.Name, f.Module))
	}
	return log
}

// mine reports whether a scenario's filter wrote a line. It knows Envoy's two formats:
// "wasm log <plugin> <root id> <vm id>: text", which leaves out empty ids, and "Plugin
// <plugin> failed to load".
func (l scenarioLog) mine(line string) bool {
	for _, before := range []string{" wasm log ", " Plugin "} {
		if _, name, ok := strings.Cut(line, before); ok {
			name = name[:max(0, strings.IndexAny(name, " :"))]
			return slices.Contains(l.plugins, name)
		}
	}
	return true
}

func (l scenarioLog) Lines(mark int) []string {
	return slices.DeleteFunc(l.Log.Lines(mark), func(line string) bool { return !l.mine(line) })
}

func (l scenarioLog) Wait(ctx context.Context, mark int, match func(string) bool) (string, error) {
	return l.Log.Wait(ctx, mark, func(line string) bool { return l.mine(line) && match(line) })
}
