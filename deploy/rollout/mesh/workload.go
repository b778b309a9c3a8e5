//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/envoy/stats"
	"github.com/slipway-wasm/slipway/deploy/rollout"
	"github.com/slipway-wasm/slipway/deploy/rollout/mesh/agent"
)

// mesh implements rollout.Mesh.
type mesh struct {
	dir       string // for what workloads leave to be looked at
	registry  string // host and port
	httpbin   int    // port
	envoy     envoy.Binary
	agent     string // the agent's binary
	bootstrap string // Istio's template for Envoy's bootstrap
	data      *agent.DataDir
	istiod    *istiod
}

// workload implements rollout.Workload: an agent, its Envoy, and the httpbin that
// all workloads share.
type workload struct {
	mesh  *mesh
	name  string
	port  int // of the listener for inbound traffic
	admin int // port of Envoy's
	agent *agent.Agent
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
	w := &workload{mesh: m, name: name, port: ports[0], admin: ports[1]}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if err := m.istiod.apply(fmt.Sprintf(sidecar, name, w.port, m.httpbin), name); err != nil {
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
		res, err := w.Get(ctx, "/status/200", nil)
		if err == nil && res.Status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", res.Status, res.Body)
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

func (w *workload) Get(ctx context.Context, path string, header http.Header) (*rollout.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", w.port, path), http.NoBody)
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	req.Close = true
	return rollout.Do(http.DefaultClient, req)
}

func (w *workload) Stats(ctx context.Context) (map[string]uint64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/stats", w.admin), http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := rollout.Do(http.DefaultClient, req)
	if err != nil {
		return nil, err
	}
	if res.Status != http.StatusOK {
		return nil, fmt.Errorf("ask Envoy for its statistics: status %d: %s", res.Status, res.Body)
	}
	return stats.Parse(string(res.Body)), nil
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
	return err
}
