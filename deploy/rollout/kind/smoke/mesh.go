package smoke

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/slipway-wasm/slipway/deploy/rollout"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/kubectl"
)

// mesh implements rollout.Mesh with a cluster that has Istio.
type mesh struct {
	kubectl kubectl.Kubectl
	config  *rest.Config
	client  kubernetes.Interface

	// namespace is the client's namespace. The names of the other namespaces begin with
	// it.
	namespace string
	// registry is its host and port as proxies know it.
	registry string
	// httpbin is the folder of the rendered httpbin.yaml.
	httpbin string
	// failures is the folder for what is kept after a failure.
	failures string

	egress *tunnel
}

// egress lets the client's sidecar listen for requests that enter the pod through a
// tunnel, and route them by their host to the plans' httpbins. Without
// REGISTRY_ONLY, it would pass a request that has no route on to where the request
// went: to itself.
const egress = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: client}
spec:
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  egress:
  - port: {name: http, number: %d, protocol: HTTP}
    bind: 127.0.0.1
    captureMode: NONE
    hosts: [%s]
`

// startClient starts the pod that requests come from. A tunnel brings the requests to
// its sidecar, so they take the same way as any request of a pod in the mesh. The pod
// is one more httpbin, because its image is there already: no image with a client is
// needed.
func (m *mesh) startClient(ctx context.Context, plans []rollout.Plan) (*workload, error) {
	w, err := m.start(ctx, m.namespace)
	if err != nil {
		return nil, err
	}
	closing := func(err error) (*workload, error) { return nil, errors.Join(err, w.Close()) }
	pod, err := m.client.CoreV1().Pods(m.namespace).Get(ctx, w.pod, metav1.GetOptions{})
	if err != nil {
		return closing(err)
	}
	if !hasSidecar(pod) {
		return closing(fmt.Errorf("no sidecar is injected into a pod with the label sidecar.istio.io/inject=true; install Istio's control plane, with its default revision, in the cluster %s", m.config.Host))
	}
	var hosts []string
	for _, p := range plans {
		hosts = append(hosts, fmt.Sprintf("%q", m.namespaceOf(p.Name)+"/*"))
	}
	if _, err := w.kubectl.Run(ctx, strings.NewReader(fmt.Sprintf(egress, httpbinPort, strings.Join(hosts, ", "))), "apply", "--filename=-"); err != nil {
		return closing(err)
	}
	if m.egress, err = openTunnel(ctx, m.config, m.client, m.namespace, w.pod, httpbinPort); err != nil {
		return closing(err)
	}
	return w, nil
}

func (m *mesh) namespaceOf(plan string) string { return m.namespace + "-" + plan }

// Workload brings up the rendered httpbin in a namespace of its own.
func (m *mesh) Workload(ctx context.Context, name string) (rollout.Workload, error) {
	w, err := m.start(ctx, m.namespaceOf(name))
	if err != nil {
		return nil, fmt.Errorf("workload %s: %w", name, err)
	}
	if err := w.awaitAnswer(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("workload %s: %w", name, err), w.Close())
	}
	return w, nil
}

// awaitAnswer waits until the client's sidecar has a route to httpbin.
func (w *workload) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, upTimeout, fmt.Errorf("no answer after %v", upTimeout))
	defer cancel()
	for {
		_, err := ask(ctx, http.MethodGet, w.URL()+"/status/200", w.Authority())
		if err == nil {
			return nil
		}
		if ended := wait(ctx); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
}

// folderOf returns the folder for what is kept of a namespace.
func (m *mesh) folderOf(namespace string) string { return filepath.Join(m.failures, namespace) }
