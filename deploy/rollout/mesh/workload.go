//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/rollout"
	"github.com/slipway-wasm/slipway/deploy/rollout/mesh/agent"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/server"
)

// mesh implements rollout.Mesh.
type mesh struct {
	dir       string // for what workloads leave to be looked at
	registry  string // host and port
	envoy     envoy.Binary
	agent     string // the agent's binary
	bootstrap string // Istio's template for Envoy's bootstrap
	data      *agent.DataDir
	istiod    *istiod
}

// workload implements rollout.Scripted: an agent, its Envoy, and the servers behind it.
type workload struct {
	mesh  *mesh
	name  string
	port  int // of the listener for inbound traffic
	admin int // port of Envoy's
	agent *agent.Agent
	// fronts are the servers, by the name of the service. The empty one is the upstream.
	fronts map[string]*front
}

// upTimeout is long, because only a broken workload reaches it.
const upTimeout = time.Minute

// sidecar makes httpbin a service. It has the workload's Envoy listen for it, because
// there is no pod's network to capture its traffic.
const sidecar = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: httpbin}
spec:
  hosts: [httpbin.%[1]s.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{name: http, number: 8000, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: %[2]d}}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: httpbin}
spec:
  workloadSelector: {labels: {app: httpbin}}
  ingress:
  - port: {name: http, number: %[2]d, protocol: HTTP}
    bind: 127.0.0.1
    captureMode: NONE
    defaultEndpoint: 127.0.0.1:%[3]d
  egress:
  - captureMode: IPTABLES # listens nowhere, but the clusters are there
    hosts: [./*]
`

// Workload brings up an agent with its Envoy.
func (m *mesh) Workload(ctx context.Context, name string) (_ rollout.Workload, err error) {
	ports, err := agent.FreePorts(5)
	if err != nil {
		return nil, err
	}
	w := &workload{mesh: m, name: name, port: ports[0], admin: ports[1], fronts: map[string]*front{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	first, err := server.Record(httpbin.New())
	if err != nil {
		return nil, err
	}
	upstream, err := newFront(first)
	if err != nil {
		return nil, err
	}
	w.fronts[""] = upstream
	if err := m.istiod.apply(fmt.Sprintf(sidecar, name, w.port, upstream.port()), name); err != nil {
		return nil, err
	}
	w.agent, err = agent.Start(agent.Options{
		Binary:    m.agent,
		Envoy:     m.envoy.Path,
		Bootstrap: m.bootstrap,
		Istiod:    m.istiod.address,
		Registry:  m.registry,
		Dir:       filepath.Join(m.dir, name),
		Namespace: name,
		Admin:     w.admin,
		Status:    ports[2],
		Ready:     ports[3],
		Metrics:   ports[4],
	})
	if err != nil {
		return nil, err
	}
	if err := w.awaitUp(ctx); err != nil {
		return nil, fmt.Errorf("workload %s: %w\n  %s", name, err, w.agent.LastWords())
	}
	return w, nil
}

// awaitUp waits until requests reach httpbin.
func (w *workload) awaitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, upTimeout, fmt.Errorf("not up after %v", upTimeout))
	defer cancel()
	return envoytest.Until(ctx, func() error {
		select {
		case <-w.agent.Done():
			cancel()
			return errors.New("the agent has exited")
		default:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL(), http.NoBody)
		if err != nil {
			return err
		}
		req.Close = true
		status, body, err := rollout.Do(http.DefaultClient, req)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", status, body)
		}
		return err
	})
}

func (w *workload) Namespace() string { return w.name }

func (w *workload) Apply(_ context.Context, folder string) error {
	manifests, err := kustomize(folder)
	if err != nil {
		return err
	}
	if err := w.mesh.data.Expect(manifests); err != nil {
		return err
	}
	return w.mesh.istiod.apply(manifests, w.name)
}

func (w *workload) Delete(_ context.Context, folder string) error {
	manifests, err := kustomize(folder)
	if err != nil {
		return err
	}
	return w.mesh.istiod.delete(manifests, w.name)
}

// kustomize returns what "kubectl kustomize folder" prints.
func kustomize(folder string) (string, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return "", fmt.Errorf("kustomize %s: %w", folder, err)
	}
	manifests, err := resources.AsYaml()
	return string(manifests), err
}

func (w *workload) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", w.port) }

func (w *workload) Authority() string { return "" }

// Lacks returns the reason why scenarios cannot have a part here.
func (w *workload) Lacks(part scenario.Part) string {
	if part == scenario.PartPrometheus {
		return "Istio's bootstrap names the labels"
	}
	return ""
}

// servicePort is the port of the services that filters call.
const servicePort = 80

// Cluster returns the name that istiod gives to the cluster of a service.
func (w *workload) Cluster(service string) string {
	return fmt.Sprintf("outbound|%d||%s", servicePort, w.host(service))
}

func (w *workload) host(service string) string { return service + "." + w.name + ".svc.cluster.local" }

// service makes a server of this machine a service of the mesh.
const service = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %[1]s}
spec:
  hosts: [%[2]s]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{name: http, number: %[3]d, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: %[4]d}}]
`

// Serve starts the servers of a scenario. Each is behind a port that stays the same, so that
// the proxy's clusters do.
func (w *workload) Serve(_ context.Context, s *scenario.Scenario) (server.Servers, error) {
	servers, err := server.StartAll(s)
	if err != nil {
		return nil, err
	}
	for name, started := range servers {
		if f := w.fronts[name]; f != nil {
			if err := f.follow(started); err != nil {
				return nil, err
			}
			continue
		}
		if w.fronts[name], err = newFront(started); err != nil {
			return nil, err
		}
		if err := w.mesh.istiod.apply(fmt.Sprintf(service, name, w.host(name), servicePort, w.fronts[name].port()), w.name); err != nil {
			return nil, err
		}
	}
	return servers, nil
}

// front is a port behind which one server follows another.
type front struct {
	listener net.Listener
	server   atomic.Pointer[server.Server]
}

// newFront starts with a server, which it closes when another one follows.
func newFront(first *server.Server) (*front, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, first.Close())
	}
	f := &front{listener: listener}
	f.server.Store(first)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go f.forward(conn)
		}
	}()
	return f, nil
}

// forward ends a connection at once while the server is down.
func (f *front) forward(from net.Conn) {
	defer from.Close() //nolint:errcheck // there is nothing to save
	to, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", f.server.Load().Port()))
	if err != nil {
		return
	}
	defer to.Close() //nolint:errcheck // there is nothing to save
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{to, from}, {from, to}} {
		go func() {
			_, _ = io.Copy(way[0], way[1]) // either end may go at any time
			ended <- struct{}{}
		}()
	}
	<-ended
}

// follow closes the server, and lets another one follow.
func (f *front) follow(next *server.Server) error { return f.server.Swap(next).Close() }

func (f *front) port() int { return f.listener.Addr().(*net.TCPAddr).Port }

func (f *front) close() error { return errors.Join(f.listener.Close(), f.server.Load().Close()) }

func (w *workload) Admin(ctx context.Context, path string) (string, error) {
	return w.askAdmin(ctx, http.MethodGet, path)
}

func (w *workload) ResetCounters(ctx context.Context) error {
	_, err := w.askAdmin(ctx, http.MethodPost, "/reset_counters")
	return err
}

func (w *workload) askAdmin(ctx context.Context, method, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://127.0.0.1:%d%s", w.admin, path), http.NoBody)
	if err != nil {
		return "", err
	}
	status, body, err := rollout.Do(http.DefaultClient, req)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("ask Envoy for %s: status %d: %s", path, status, body)
	}
	return string(body), err
}

func (w *workload) Log(context.Context) ([]string, error) {
	content, err := os.ReadFile(w.agent.LogFile())
	if err != nil {
		return nil, err
	}
	// A last line without an end is still being written.
	whole := content[:bytes.LastIndexByte(content, '\n')+1]
	var lines []string
	for line := range strings.Lines(string(whole)) {
		lines = append(lines, strings.TrimRight(line, "\n"))
	}
	return lines, nil
}

func (w *workload) Close() error {
	err := w.mesh.istiod.deleteNamespace(w.name)
	if w.agent != nil {
		err = errors.Join(err, w.agent.Stop())
	}
	for _, f := range w.fronts {
		err = errors.Join(err, f.close())
	}
	return err
}
