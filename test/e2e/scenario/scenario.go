// Package scenario says what is sent through filters and what must be seen.
//
// It exists so that this is written once. A scenario does not know how a proxy got its
// filters. Whatever runs filters (plain Envoy, a mesh, modules from another storage)
// puts the proxy that [Scenario] describes in front of an httpbin, fills an [Env], and
// calls the checks in their order.
package scenario

import (
	"context"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/envoy/authservice"
)

// Scenario is one proxy with filters, and what must be seen of it.
type Scenario struct {
	// Name is a path component, unique among the scenarios.
	Name string
	// Filters is the chain, in the order in which it sees requests.
	Filters []Filter
	// Inbound makes the proxy's listener one for inbound traffic.
	Inbound bool
	// Alone says that the proxy must run no other scenario's filters: the checks
	// look at what all filters of a proxy share.
	Alone bool
	// Workers is the number of the proxy's worker threads. Zero means 1, or the number
	// of the proxy that the scenario shares.
	Workers int
	// Auth is how the auth service behaves when the proxy starts.
	Auth authservice.Mode
	// Checks are made one after the other.
	Checks []Check
}

// Filter is one filter of a chain.
type Filter struct {
	// Module is the name of the built filter: the folder below filter/.
	Module string
	// VMConfiguration and Configuration are handed over as they stand. Empty
	// means none.
	VMConfiguration, Configuration string
	// FailOpen lets requests pass where the filter cannot run, instead of 503.
	FailOpen bool
	// WrongSum announces the module with a sha256 that is not its own.
	WrongSum bool
}

// Check is one thing that must be seen.
type Check struct {
	// Name says what, in words that fit into a table.
	Name string
	// Run returns nil as soon as it was seen, or what was seen instead once ctx ends.
	Run func(ctx context.Context, e *Env) error
}

// Env is what a check may touch.
type Env struct {
	// URL is where requests enter the proxy, without a trailing slash. Behind its
	// filters is an httpbin.
	URL string
	// Proxy is the proxy's own interface.
	Proxy Proxy
	// Log is what the proxy wrote.
	Log Log
	// Auth is the auth service, which the proxy knows as the cluster of [Options].
	Auth *authservice.Service
}

// Proxy is what a proxy tells about itself.
type Proxy interface {
	// Stats returns counters and gauges by the names of Envoy's /stats.
	Stats(ctx context.Context) (map[string]uint64, error)
	// Prometheus returns them in the format of /stats/prometheus.
	Prometheus(ctx context.Context) (string, error)
}

// Log is the log of a proxy, from its start. It leaves out what the filters of other
// scenarios in the same proxy log.
type Log interface {
	// Lines returns the lines after mark; zero means all.
	Lines(mark int) []string
	// Mark is the number of lines so far.
	Mark() int
	// Wait returns the first line after mark that match accepts, once there is one.
	Wait(ctx context.Context, mark int, match func(line string) bool) (string, error)
}

// Options say how the scenarios fit the place where they run.
type Options struct {
	// AuthCluster returns the name of the proxy's cluster with a scenario's auth
	// service. Nil means "auth" for all.
	AuthCluster func(scenario string) string
	// Modules narrows the result to scenarios that need no other module. Nil
	// means all scenarios.
	Modules []string
}

// All returns the scenarios for Slipway's own filters.
func All(o Options) []Scenario {
	if o.AuthCluster == nil {
		o.AuthCluster = func(string) string { return "auth" }
	}
	all := slices.Concat(headers(), requestlog(), authtoken(o), chain(o), faults())
	if o.Modules == nil {
		return all
	}
	return slices.DeleteFunc(all, func(s Scenario) bool {
		return slices.ContainsFunc(s.Filters, func(f Filter) bool { return !slices.Contains(o.Modules, f.Module) })
	})
}
