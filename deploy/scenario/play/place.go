// Package play plays a scenario on a proxy, wherever that runs.
package play

import (
	"context"

	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/server"
)

// Place is a proxy that runs the filters of a scenario already.
type Place interface {
	// Lacks returns the reason why the place cannot do a part of a scenario, or "" if it can.
	Lacks(scenario.Part) string
	// URL is where requests enter the proxy: scheme, host and port.
	URL() string
	// Authority is the host that clients ask for. Empty: the URL's.
	Authority() string
	// Admin returns the answer of Envoy's admin interface to a path such as /stats.
	Admin(ctx context.Context, path string) (string, error)
	// Log returns the lines that the proxy has logged since it began to run the scenario's
	// filters. It may leave out those that have nothing to do with them.
	Log(ctx context.Context) ([]string, error)
}

// Servers is a Place with servers that the scenario scripts: it lacks neither
// scenario.PartServices nor scenario.PartUpstream nor scenario.PartSeen.
type Servers interface {
	Place
	// Server returns the server of a service or, for the empty name, the upstream.
	Server(service string) *server.Server
	// Cluster returns the name of a service's cluster in the proxy.
	Cluster(service string) string
}

// Configurable is a Place in which filters get another configuration while the proxy runs: it
// does not lack scenario.PartChange.
type Configurable interface {
	Place
	// Configure gives a filter of the chain another plugin configuration, and waits until the
	// proxy has taken or refused it.
	Configure(ctx context.Context, filter, configuration string) error
}

// Fresh is a Place whose proxy counts from zero when the scenario begins. For any other Place,
// counters count from the beginning of Play.
type Fresh interface {
	Place
	// Fresh reports whether the proxy has counted nothing before.
	Fresh() bool
}

// Dated is a Place that knows what Envoy's admin interface said before the proxy began to run the
// scenario's filters. A Place that is not, and is not Fresh, counts from the beginning of Play.
type Dated interface {
	Place
	// Before returns what it said at StatisticsPage or PrometheusPage.
	Before(path string) string
}

// The pages of Envoy's admin interface with statistics.
const (
	StatisticsPage = "/stats?histogram_buckets=detailed"
	PrometheusPage = "/stats/prometheus"
)
