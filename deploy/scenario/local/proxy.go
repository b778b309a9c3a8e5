package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"github.com/google/renameio/v2"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/play"
	"github.com/slipway-wasm/slipway/deploy/scenario/server"
)

// These are long, because only something broken reaches them. On a busy machine V8 takes
// minutes to compile the modules of the ordinary Go compiler, and meanwhile Envoy's main thread
// neither answers nor receives.
const (
	readyTimeout  = 5 * time.Minute
	fetchTimeout  = 5 * time.Minute
	changeTimeout = 2 * time.Minute
)

// Module is where Envoy gets a filter's module.
type Module struct {
	// Remote is its URL and wasm sha256. Without a URL, Play serves the file.
	Remote envoyconf.Remote
	// Path is the same module as a file. Filters that get another configuration while Envoy
	// runs are read from it, too.
	Path string
}

// Proxy is an Envoy that plays several scenarios, with a listener for each.
type Proxy struct {
	*envoy.Proxy
	// Stages are the places for its scenarios.
	Stages []*Stage

	guest bool // the Envoy is somebody else's
}

// Stage is the part of a Proxy for one scenario.
type Stage struct {
	*part
	proxy    *envoy.Proxy
	url      string
	servers  server.Servers
	dir      string
	options  *Options
	listener string

	mark   int               // lines that Envoy had logged before
	before map[string]string // pages of the admin interface from before; nil if Envoy was started for the scenario
}

// start starts an Envoy for some scenarios.
func start(ctx context.Context, binary envoy.Binary, dir string, parts []*part, o Options) (_ *Proxy, err error) {
	p := &Proxy{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	build, err := p.prepare(parts, dir, "", o)
	if err != nil {
		return nil, err
	}
	workers := int64(0)
	for _, part := range parts {
		workers = max(workers, part.Proxy.Workers)
	}
	config, err := envoyconf.Render(build)
	if err != nil {
		return nil, err
	}
	p.Proxy, err = envoy.Start(ctx, envoy.StartOptions{
		Path: binary.Path, Config: config, Dir: filepath.Join(dir, "envoy"), Concurrency: int(workers), ReadyTimeout: readyTimeout,
	})
	if err != nil {
		return nil, err
	}
	return p, p.locate(ctx)
}

// prepare starts the servers of scenarios, and returns the configuration of their listeners.
// suffix tells the listeners from those of the same scenarios in the same Envoy.
func (p *Proxy) prepare(parts []*part, dir, suffix string, o Options) (envoyconf.BuildOptions, error) {
	build := envoyconf.BuildOptions{FlushOnAdmin: true}
	for _, part := range parts {
		s := &Stage{part: part, dir: dir, options: &o, listener: part.Filter + "." + part.Name + suffix}
		p.Stages = append(p.Stages, s)
		if err := s.serve(&build); err != nil {
			return build, err
		}
		listener, err := s.configuration(o.Filters)
		if err != nil {
			return build, fmt.Errorf("%s: %w", part.File, err)
		}
		build.Listeners = append(build.Listeners, listener)
	}
	return build, nil
}

// locate finds out where the listeners listen.
func (p *Proxy) locate(ctx context.Context) (err error) {
	for _, s := range p.Stages {
		s.proxy = p.Proxy
		if s.url, err = p.ListenerURL(ctx, s.listener); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the Envoy and the servers.
func (p *Proxy) Close() error {
	var errs []error
	if p.Proxy != nil && !p.guest {
		errs = append(errs, p.Stop())
	}
	for _, s := range p.Stages {
		errs = append(errs, s.servers.Close())
	}
	return errors.Join(errs...)
}

// Cluster is the name of a service's cluster in the proxy, or for the empty name the upstream's.
func (s *Stage) Cluster(service string) string {
	if service == "" {
		return s.listener
	}
	if cluster := s.Scenario.Cluster(service); cluster != "" {
		return cluster
	}
	return s.listener + "." + service
}

// serve starts the servers of the scenario, and adds their clusters to the configuration.
func (s *Stage) serve(build *envoyconf.BuildOptions) (err error) {
	if s.servers, err = server.StartAll(s.Scenario); err != nil {
		return err
	}
	for name, started := range s.servers {
		build.Clusters = append(build.Clusters, envoyconf.Cluster{Name: s.Cluster(name), Address: envoyconf.Address{Port: started.Port()}})
	}
	build.Upstream = envoyconf.Address{Port: s.servers[""].Port()} // Envoy wants one; each listener has its own
	return nil
}

// configuration is the listener of the scenario.
func (s *Stage) configuration(filters []catalog.Filter) (envoyconf.Listener, error) {
	listener := envoyconf.Listener{Name: s.listener, Cluster: s.listener}
	switch s.Listener(filters) {
	case scenario.Inbound:
		listener.TrafficDirection = corev3.TrafficDirection_INBOUND
	case scenario.Outbound:
		listener.TrafficDirection = corev3.TrafficDirection_OUTBOUND
	}
	for _, plugin := range s.plugins {
		filter, err := s.filter(plugin)
		if err != nil {
			return envoyconf.Listener{}, err
		}
		if s.changes(plugin.Filter) {
			if err := s.discover(filter); err != nil {
				return envoyconf.Listener{}, err
			}
			filter = envoyconf.Filter{Name: filter.Name, Source: envoyconf.Discovered{Path: s.discoveryFile(filter.Name)}}
		}
		listener.Filters = append(listener.Filters, filter)
	}
	return listener, nil
}

// changes reports whether a filter gets another configuration while the proxy runs.
func (s *Stage) changes(filter string) bool {
	return slices.ContainsFunc(s.Steps, func(step scenario.Step) bool {
		return step.Change != nil && step.Change.PluginConfig != nil && (step.Change.Filter == "" || step.Change.Filter == filter)
	})
}

// module is where Envoy gets a filter's module.
func (s *Stage) module(filter string) (Module, bool) {
	if s.options.Source != nil {
		if m, ok := s.options.Source(s.Scenario, filter); ok {
			return m, true
		}
	}
	m, ok := s.options.Modules[filter]
	return m, ok
}

// filter is the configuration of one filter.
func (s *Stage) filter(p scenario.Plugin) (envoyconf.Filter, error) {
	module, ok := s.module(p.Filter)
	if !ok {
		return envoyconf.Filter{}, fmt.Errorf("there is no module of filter %s", p.Filter)
	}
	remote := module.Remote
	remote.Timeout = fetchTimeout
	p, err := p.Expand(s.known)
	if err != nil {
		return envoyconf.Filter{}, err
	}
	f := envoyconf.Filter{Name: s.pluginName(p.Filter), Source: remote, Configuration: p.Configuration, VMConfiguration: p.VMConfiguration}
	f.Environment, f.HostEnvironment = p.Environment()
	switch p.FailStrategy {
	case catalog.FailOpen:
		f.FailurePolicy = wasmv3.FailurePolicy_FAIL_OPEN
	case catalog.FailReload:
		f.FailurePolicy = wasmv3.FailurePolicy_FAIL_RELOAD
	default:
		f.FailurePolicy = wasmv3.FailurePolicy_FAIL_CLOSED
	}
	return f, nil
}

// known is the cluster of a service that the scenario has.
func (s *Stage) known(service string) (string, bool) {
	return s.Cluster(service), s.servers[service] != nil && service != ""
}

// pluginName tells the scenario's filter from the same filter of another scenario.
func (s *Stage) pluginName(filter string) string { return s.listener + "." + filter }

// discoveryFile is in a folder of its own, because Envoy is notified of each file that appears
// there.
func (s *Stage) discoveryFile(plugin string) string {
	return filepath.Join(s.dir, "discovery", plugin, "filter.json")
}

// discover writes the file in which Envoy finds a filter.
func (s *Stage) discover(f envoyconf.Filter) error {
	module, _ := s.module(strings.TrimPrefix(f.Name, s.listener+"."))
	path, err := filepath.Abs(module.Path)
	if err != nil {
		return err
	}
	f.Source = envoyconf.Local{Path: path}
	content, err := envoyconf.Discovery(f, time.Now().Format(time.RFC3339Nano))
	if err != nil {
		return err
	}
	file := s.discoveryFile(f.Name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(file, content, 0o644)
}

var (
	_ play.Servers      = (*Stage)(nil)
	_ play.Configurable = (*Stage)(nil)
	_ play.Fresh        = (*Stage)(nil)
	_ play.Dated        = (*Stage)(nil)
)

// Lacks returns "": plain Envoy can do everything that a scenario says.
func (s *Stage) Lacks(scenario.Part) string { return "" }

// URL is the URL of the scenario's listener.
func (s *Stage) URL() string { return s.url }

// Authority returns "".
func (s *Stage) Authority() string { return "" }

// Fresh reports whether the Envoy was started for the scenario.
func (s *Stage) Fresh() bool { return s.before == nil }

// Before returns a page of the admin interface from before the scenario's filters ran.
func (s *Stage) Before(path string) string { return s.before[path] }

// Admin asks Envoy's admin interface.
func (s *Stage) Admin(ctx context.Context, path string) (string, error) {
	return s.proxy.Get(ctx, path)
}

// Log returns what Envoy has logged, without the lines of other scenarios' filters.
func (s *Stage) Log(context.Context) ([]string, error) {
	return slices.DeleteFunc(s.proxy.Log().Lines(s.mark), func(line string) bool { return !s.mine(line) }), nil
}

// mine reports whether the scenario's filter or Envoy itself wrote a line. It knows Envoy's two
// formats: "wasm log <plugin> <root id> <vm id>: text", which leaves out empty ids, and "Plugin
// <plugin> failed to load".
func (s *Stage) mine(line string) bool {
	for _, before := range []string{" wasm log ", " Plugin "} {
		if _, name, ok := strings.Cut(line, before); ok {
			name = name[:max(0, strings.IndexAny(name, " :"))]
			return slices.ContainsFunc(s.plugins, func(p scenario.Plugin) bool { return s.pluginName(p.Filter) == name })
		}
	}
	return true
}

// Server returns the server of a service or, for the empty name, the upstream.
func (s *Stage) Server(service string) *server.Server { return s.servers[service] }

// Configure gives a filter another configuration, and waits until Envoy has taken or refused it.
func (s *Stage) Configure(ctx context.Context, filter, configuration string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, changeTimeout, fmt.Errorf("Envoy has not taken the configuration after %v", changeTimeout)) //nolint:staticcheck // a name
	defer cancel()
	i := slices.IndexFunc(s.plugins, func(p scenario.Plugin) bool { return p.Filter == filter })
	plugin := s.plugins[i]
	plugin.Configuration = configuration
	f, err := s.filter(plugin)
	if err != nil {
		return err
	}
	before, err := s.updates(ctx, f.Name)
	if err != nil {
		return err
	}
	if err := s.discover(f); err != nil {
		return err
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		now, err := s.updates(ctx, f.Name)
		if err != nil || now != before {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// updates is how many configurations of a filter Envoy has taken or refused.
func (s *Stage) updates(ctx context.Context, plugin string) (uint64, error) {
	stats, err := s.proxy.Stats(ctx)
	prefix := "extension_config_discovery.http_filter." + plugin + "."
	return stats[prefix+"update_success"] + stats[prefix+"update_rejected"], err
}
