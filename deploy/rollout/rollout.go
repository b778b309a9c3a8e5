// Package rollout says how two releases of Slipway's filters are rolled out in a
// mesh, and what httpbin, its clients and the proxy must see at each step.
//
// It exists so that this is written once. A scenario applies what package
// deploy/manifest renders for what deploy/oci and deploy/storage published. It does not
// know how a mesh is brought up: whoever has one implements [Mesh].
//
// [Prepare] builds the releases. [Rollout.PlayAll] publishes them, plays every
// scenario, and prints how long each step took until it was seen:
//
//	r, err := rollout.Prepare(ctx, rollout.Options{Root: root, Registry: registry, Storage: storage, Out: os.Stdout})
//	…
//	err = r.PlayAll(ctx, mesh)
package rollout

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Mesh is a running mesh. Its proxies can pull, over plain HTTP if need be, from
// the stores of [Options].
type Mesh interface {
	// Workload brings up a workload where nothing was applied yet, and returns once it
	// answers. The scenario closes it. Up to Options.Parallel workloads are used side
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
	// Get sends one request to httpbin from a client in the mesh, on a connection
	// of its own. path begins with a slash. An answer of any status is no error.
	Get(ctx context.Context, path string, header http.Header) (*Response, error)
	// Stats returns the counters and gauges of the sidecar's Envoy by the names of
	// its /stats.
	Stats(ctx context.Context) (map[string]uint64, error)
	// Log returns all lines that Istio's agent and its Envoy have written in the
	// sidecar so far. Envoy's logger "wasm" has to be at level info.
	Log(ctx context.Context) ([]string, error)
	// Close removes the workload with everything in its namespace, even when contexts
	// have ended. Whoever has brought up the mesh waits until that is done.
	Close() error
}

// Keeper is what a Workload may also implement.
type Keeper interface {
	// Keep is called after a step has failed, before Close. It writes what the workload
	// knows to a folder, and returns that folder.
	Keep(ctx context.Context) (folder string, err error)
}

// Response is what the client saw.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request with client and reads the answer.
func Do(client *http.Client, req *http.Request) (*Response, error) {
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", req.URL, err)
	}
	return &Response{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}
