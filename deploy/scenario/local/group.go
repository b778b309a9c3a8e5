package local

import (
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// part is a scenario with what it needs from the proxy that plays it.
type part struct {
	*scenario.Scenario
	// plugins are its filters, with their configurations.
	plugins []scenario.Plugin
	// clusters are the names of clusters that it does not leave to the place.
	clusters []string
	// counted are the statistics that it looks at.
	counted []string
}

func newPart(s *scenario.Scenario, plugins []scenario.Plugin) *part {
	p := &part{Scenario: s, plugins: plugins}
	for name := range s.Services {
		if cluster := s.Cluster(name); cluster != "" {
			p.clusters = append(p.clusters, cluster)
		}
	}
	for _, step := range s.Steps {
		for name := range step.Expect.Statistics {
			p.counted = append(p.counted, name)
		}
		for name := range step.Expect.Prometheus {
			name, _, _ = strings.Cut(name, "{")
			p.counted = append(p.counted, name)
		}
	}
	return p
}

// groupParts says which scenarios can share a proxy, which compiles each module once for all of
// them. It puts each into the first group where it disturbs nobody.
func groupParts(parts []*part) [][]*part {
	var groups [][]*part
	for _, p := range parts {
		i := slices.IndexFunc(groups, func(g []*part) bool {
			return !slices.ContainsFunc(g, func(other *part) bool { return disturb(p, other) })
		})
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

// disturb reports whether two scenarios need a proxy each.
func disturb(a, b *part) bool {
	if wa, wb := a.Proxy.Workers, b.Proxy.Workers; wa != wb {
		return true
	}
	for _, cluster := range a.clusters {
		if slices.Contains(b.clusters, cluster) {
			return true
		}
	}
	return counts(a, b) || counts(b, a)
}

// counts reports whether a looks at a statistic that b may change. All filters of a proxy count
// together, so a statistic is a's own only if a's configuration names it and b's does not, or if
// they have no filter in common. What the proxy itself counts is nobody's own.
func counts(a, b *part) bool {
	common := slices.ContainsFunc(a.plugins, func(p scenario.Plugin) bool {
		return slices.ContainsFunc(b.plugins, func(q scenario.Plugin) bool { return p.Filter == q.Filter })
	})
	for _, name := range a.counted {
		own, ok := strings.CutPrefix(name, "wasmcustom.")
		if !ok && strings.Contains(name, ".") || strings.HasPrefix(name, "envoy_") {
			return true
		}
		if common && (!a.names(own) || b.names(own)) {
			return true
		}
	}
	return false
}

// names reports whether a configuration of the scenario has a text.
func (p *part) names(text string) bool {
	return slices.ContainsFunc(p.plugins, func(q scenario.Plugin) bool {
		return strings.Contains(q.Configuration+q.VMConfiguration, text)
	})
}
