// Package rollout says how two releases of a repository's filters are rolled out in a mesh,
// and what must be seen at each step.
//
// It exists so that this is written once. A plan applies what package deploy/manifest renders
// for what deploy/oci and deploy/storage published. A release is live when the proxy has the
// module with its digest, and the filter's own scenario holds: no filter is known here. A plan
// does not know how a mesh is brought up: whoever has one implements [Mesh].
//
// [Prepare] builds the releases. [Rollout.PlayAll] publishes them, plays every plan, and
// prints how long each step took until it was seen:
//
//	r, err := rollout.Prepare(ctx, rollout.Options{Root: root, Registry: registry, Storage: storage, Out: os.Stdout})
//	…
//	err = r.PlayAll(ctx, mesh)
package rollout

import (
	"context"

	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/server"
)

// Mesh is a running mesh. Its proxies can pull, over plain HTTP if need be, from
// the stores of [Options].
type Mesh interface {
	// Workload brings up a workload where nothing was applied yet, and returns once it
	// answers. The plan closes it. Up to Options.Parallel workloads are used side
	// by side. name is a DNS label, a different one for each.
	Workload(ctx context.Context, name string) (Workload, error)
}

// Workload is the httpbin of the rendered httpbin.yaml behind a sidecar: pods with
// the label app: httpbin, behind a service httpbin with port 8000, in a namespace
// that other workloads of the mesh do not share.
type Workload interface {
	// Namespace is the namespace's name.
	Namespace() string
	// Apply does in the namespace what "kubectl apply -k folder" does, without waiting
	// for the proxy.
	Apply(ctx context.Context, folder string) error
	// Delete does what "kubectl delete -k folder" does.
	Delete(ctx context.Context, folder string) error
	// URL is where requests to httpbin enter the mesh: scheme, host and port.
	URL() string
	// Authority is the host that clients ask for. Empty: the URL's.
	Authority() string
	// Admin returns the answer of the sidecar's Envoy to a GET of a path of its admin
	// interface.
	Admin(ctx context.Context, path string) (string, error)
	// ResetCounters lets the counters of that Envoy begin at zero again.
	ResetCounters(ctx context.Context) error
	// Log returns all lines that Istio's agent and its Envoy have written in the
	// sidecar so far. Envoy's logger "wasm" has to be at level info.
	Log(ctx context.Context) ([]string, error)
	// Lacks returns the reason why the workload cannot do a part of a scenario, or "" if it
	// can. What no Istio can do is known without it.
	Lacks(scenario.Part) string
	// Close removes the workload with everything in its namespace, even when contexts
	// have ended. Whoever has brought up the mesh waits until that is done.
	Close() error
}

// Scripted is a Workload with servers that a scenario scripts: it lacks neither
// scenario.PartServices nor scenario.PartUpstream nor scenario.PartSeen.
type Scripted interface {
	Workload
	// Serve lets the services of a scenario and its upstream answer from now on.
	Serve(ctx context.Context, s *scenario.Scenario) (server.Servers, error)
	// Cluster returns the name of a service's cluster in the proxy.
	Cluster(service string) string
}

// Keeper is what a Workload may also implement.
type Keeper interface {
	// Keep is called after a step has failed, before Close. It writes what the workload
	// knows to a folder, and returns that folder.
	Keep(ctx context.Context) (folder string, err error)
}
