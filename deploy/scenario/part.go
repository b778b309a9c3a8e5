package scenario

import (
	"slices"
)

// Part is something that a scenario says, and that not every place can do.
type Part string

// What a scenario needs from the place before its first step. Without one of these it is not
// played.
const (
	// PartConfiguration is a configuration other than the one that ships.
	PartConfiguration Part = "a configuration of its own"
	// PartVMConfiguration is a configuration of the virtual machine.
	PartVMConfiguration Part = "a VM configuration"
	// PartChain is a chain of several filters.
	PartChain Part = "a chain of filters"
	// PartWorkers is a number of worker threads.
	PartWorkers Part = "worker threads"
	// PartDirection is a listener's direction.
	PartDirection Part = "the listener's direction"
	// PartServices are scripted services.
	PartServices Part = "scripted services"
	// PartUpstream is a scripted upstream.
	PartUpstream Part = "a scripted upstream"
	// PartChange is another configuration while the proxy runs.
	PartChange Part = "another configuration while it runs"
	// PartHTTP2 are requests by HTTP/2.
	PartHTTP2 Part = "HTTP/2"
	// PartAuthority is an authority other than the proxy's own.
	PartAuthority Part = "a request's authority"
)

// What is expected in a step. An expectation that needs one of these is left out, and the rest
// of the step is played.
const (
	// PartSeen is what the upstream saw.
	PartSeen Part = "what the upstream saw"
	// PartStatistics and PartPrometheus are the proxy's statistics.
	PartStatistics Part = "statistics"
	PartPrometheus Part = "Prometheus's statistics"
	// PartLog is the proxy's log from level info on, and PartDebugLog what is below.
	PartLog      Part = "the log"
	PartDebugLog Part = "the log below level info"
	// PartRefusal is a configuration that is refused.
	PartRefusal Part = "a refused configuration"
)

// Needs are the parts without which the scenario cannot be played.
func (s *Scenario) Needs() []Part {
	var needs []Part
	need := func(part Part, needed bool) {
		if needed && !slices.Contains(needs, part) {
			needs = append(needs, part)
		}
	}
	for _, link := range s.Links() {
		need(PartConfiguration, link.PluginConfig != nil || link.FailStrategy != "" || link.VMConfig != nil)
		need(PartVMConfiguration, link.VMConfig != nil && link.VMConfig.Configuration != nil)
	}
	need(PartChain, len(s.Proxy.Chain) > 1)
	need(PartWorkers, s.Proxy.Workers != 0)
	need(PartDirection, s.Proxy.Direction != "")
	need(PartServices, len(s.Services) > 0)
	need(PartUpstream, s.Upstream != nil)
	for _, step := range s.Steps {
		need(PartChange, step.Change != nil && step.Change.PluginConfig != nil)
		if step.Request != nil {
			need(PartHTTP2, step.Request.Protocol == HTTP2)
			need(PartAuthority, step.Request.Authority != "")
		}
	}
	return needs
}

// Ships reports whether the scenario runs its filter exactly as its manifests do.
func (s *Scenario) Ships() bool {
	return len(s.Proxy.Chain) == 0 && s.Proxy.PluginConfig == nil && s.Proxy.VMConfig == nil && s.Proxy.FailStrategy == ""
}
