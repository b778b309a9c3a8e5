package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/play"
	"github.com/slipway-wasm/slipway/deploy/scenario/server"
)

// lacks returns the reason why a workload of a mesh cannot do a part of a scenario.
func lacks(w Workload, s *scenario.Scenario, part scenario.Part) string {
	switch part {
	case scenario.PartVMConfiguration:
		return "Istio's manifests have none"
	case scenario.PartWorkers:
		return "Istio's agent starts the proxy"
	case scenario.PartChange:
		return "in a mesh it is another roll-out"
	case scenario.PartHTTP2:
		return "httpbin's service is HTTP/1.1"
	case scenario.PartDebugLog:
		return "the proxies of a mesh log from level info on"
	case scenario.PartRefusal:
		return "it is not rolled out"
	case scenario.PartDirection:
		if s.Proxy.Direction != scenario.Inbound {
			return "the filters are in front of httpbin, where requests come in"
		}
	case scenario.PartConfiguration:
		if slices.ContainsFunc(s.Links(), func(l scenario.Link) bool { text, _ := l.PluginConfig.(string); return text != "" }) {
			return "Istio's manifests carry an object, and this one is a text"
		}
	case scenario.PartServices:
		for name := range s.Services {
			if s.Cluster(name) != "" {
				return "istiod names the clusters of services; write ${services." + name + ".cluster} in the configuration"
			}
		}
	}
	return w.Lacks(part)
}

// leftOut returns the reasons why a scenario is not played in a workload; "" if it is.
func (r *Rollout) leftOut(w Workload, s *scenario.Scenario) string {
	var reasons []string
	for _, part := range s.Needs() {
		if why := lacks(w, s, part); why != "" {
			reasons = append(reasons, fmt.Sprintf("%s: %s", part, why))
		}
	}
	if slices.ContainsFunc(s.Steps, func(step scenario.Step) bool { return step.Expect.Refusal != nil }) {
		reasons = append(reasons, fmt.Sprintf("%s: %s", scenario.PartRefusal, lacks(w, s, scenario.PartRefusal)))
	}
	for _, link := range s.Links() {
		if !slices.Contains(r.names(), link.Filter) {
			reasons = append(reasons, fmt.Sprintf("filter %s: it is not rolled out", link.Filter))
		}
	}
	if r.options.EnvoyVersion != "" {
		if why := s.Proxy.Leaves(r.options.EnvoyVersion); why != "" {
			reasons = append(reasons, why)
		}
	}
	return strings.Join(reasons, "; ")
}

// scene is a scenario in a workload: a play.Place.
type scene struct {
	Workload
	scenario *scenario.Scenario
	mark     int // log lines from before
}

// Fresh reports true: see set.
func (c *scene) Fresh() bool { return true }

func (c *scene) Lacks(part scenario.Part) string { return lacks(c.Workload, c.scenario, part) }

// Log returns the lines since the scenario's filters were applied.
func (c *scene) Log(ctx context.Context) ([]string, error) {
	lines, err := c.Workload.Log(ctx)
	return lines[min(c.mark, len(lines)):], err
}

// served is a scene with servers: a play.Servers.
type served struct {
	scene
	servers server.Servers
}

func (c *served) Cluster(service string) string { return c.Workload.(Scripted).Cluster(service) }

func (c *served) Server(service string) *server.Server { return c.servers[service] }

// set prepares a workload for a scenario, whose filters are applied next. The scenario counts
// from zero, although the proxy has played others.
func set(ctx context.Context, w Workload, s *scenario.Scenario) (play.Place, error) {
	if err := w.ResetCounters(ctx); err != nil {
		return nil, err
	}
	lines, err := w.Log(ctx)
	if err != nil {
		return nil, err
	}
	c := scene{w, s, len(lines)}
	scripted, ok := w.(Scripted)
	if !ok {
		return &c, nil
	}
	servers, err := scripted.Serve(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("start the servers of %s: %w", s.File, err)
	}
	return &served{c, servers}, nil
}

// configured returns a filter with the configuration that a scenario gives it, and for httpbin
// in place of the filter's own workloads.
func configured(w Workload, f catalog.Filter, p scenario.Plugin) (catalog.Filter, error) {
	p, err := p.Expand(func(service string) (string, bool) {
		scripted, ok := w.(Scripted)
		if !ok {
			return "", false
		}
		return scripted.Cluster(service), true
	})
	if err != nil {
		return f, err
	}
	apply := *f.Metadata.Apply
	apply.Namespace, apply.TargetRefs, apply.Port, apply.Mode, apply.ImagePullSecret = "", nil, 0, "", ""
	apply.Selector = map[string]string{"app": "httpbin"}
	if !slices.Contains(apply.Contexts, catalog.ContextInbound) {
		apply.Contexts = []string{catalog.ContextInbound}
	}
	apply.FailStrategy = p.FailStrategy
	apply.PluginConfig = nil
	if p.Configuration != "" {
		if err := json.Unmarshal([]byte(p.Configuration), &apply.PluginConfig); err != nil {
			return f, fmt.Errorf("the plugin configuration of %s: %w", f.Name, err)
		}
	}
	apply.VMConfig.Env = p.Env
	f.Metadata.Apply = &apply
	return f, nil
}
