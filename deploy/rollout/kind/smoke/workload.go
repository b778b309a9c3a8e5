package smoke

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-wasm/slipway/deploy/rollout"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/kubectl"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

const (
	// proxy is the container that Istio injects.
	proxy = "istio-proxy"
	// adminPort is that of the sidecar's Envoy.
	// Reference: https://istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio
	adminPort = 15000
	// httpbinPort is that of the rendered service.
	httpbinPort = 8000

	pollInterval = 100 * time.Millisecond
	// upTimeout leaves time to pull images.
	upTimeout = 4 * time.Minute
	// closeTimeout is how long a namespace may take to go.
	closeTimeout = 2 * time.Minute
)

// workload implements rollout.Workload: the rendered httpbin in a namespace of its
// own.
type workload struct {
	mesh    *mesh
	kubectl kubectl.Kubectl
	pod     string
	admin   *tunnel
}

// start creates a namespace with the rendered httpbin and waits until its pod is
// ready.
func (m *mesh) start(ctx context.Context, namespace string) (_ *workload, err error) {
	w := &workload{mesh: m, kubectl: m.kubectl.In(namespace)}
	defer func() {
		if err != nil {
			folder, keepErr := w.Keep(context.WithoutCancel(ctx))
			if keepErr == nil && ctx.Err() == nil {
				err = fmt.Errorf("%w\n  more is in %s", err, folder)
			}
			err = errors.Join(err, w.Close())
		}
	}()
	if err := m.createNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	overlay, err := m.overlay(namespace)
	if err != nil {
		return nil, err
	}
	if err := w.Apply(ctx, overlay); err != nil {
		return nil, err
	}
	if w.pod, err = m.awaitPod(ctx, namespace, "app=httpbin"); err != nil {
		return nil, err
	}
	w.admin, err = openTunnel(ctx, m.config, m.client, namespace, w.pod, adminPort)
	return w, err
}

// overlay writes the kustomization that adapts the rendered httpbin to this mesh, and
// returns its folder.
func (m *mesh) overlay(namespace string) (string, error) {
	folder := filepath.Join(filepath.Dir(m.httpbin), "httpbin-in-"+namespace)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", err
	}
	// The log level is for filters, which may write at info. The agent writes at info
	// anyway. Envoy drains for seconds unless told otherwise,
	// and keeps the modules of what it drains.
	content := fmt.Sprintf(`apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: %s
resources: [../%s]
patches:
- target: {kind: Deployment, name: httpbin}
  patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: httpbin}
    spec:
      template:
        metadata:
          annotations:
            sidecar.istio.io/componentLogLevel: wasm:info,misc:error
            proxy.istio.io/config: |
              concurrency: 1
              terminationDrainDuration: 0s
              drainDuration: 1s
              proxyMetadata: {WASM_INSECURE_REGISTRIES: "%s"}
        spec: {terminationGracePeriodSeconds: 1}
`, namespace, filepath.Base(m.httpbin), m.registry)
	return folder, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(content), 0o600)
}

// awaitPod waits for the one pod with the label to be ready, and returns its name.
func (m *mesh) awaitPod(ctx context.Context, namespace, label string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, upTimeout, fmt.Errorf("not ready after %v", upTimeout))
	defer cancel()
	state := "there is no pod"
	for {
		pods, err := m.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: label})
		if err == nil && len(pods.Items) > 0 {
			pod := pods.Items[0]
			if ready(pod) {
				return pod.Name, nil
			}
			state = describe(pod)
		}
		if err := wait(ctx); err != nil {
			return "", fmt.Errorf("wait for the pod %s in %s: %w: %s", label, namespace, err, state)
		}
	}
}

// wait waits for one poll interval. Its error says why ctx has ended.
func wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pollInterval):
		return nil
	}
}

func ready(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// describe says why a pod is not ready, as far as its status shows that.
func describe(pod corev1.Pod) string {
	said := []string{"pod " + pod.Name + " is " + string(pod.Status.Phase)}
	for _, c := range pod.Status.Conditions {
		if c.Status == corev1.ConditionFalse && c.Message != "" {
			said = append(said, c.Message)
		}
	}
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if s := c.State.Waiting; s != nil {
			said = append(said, strings.TrimSpace(c.Name+": "+s.Reason+" "+s.Message))
		}
	}
	return strings.Join(said, "; ")
}

// hasSidecar reports whether Istio has injected its proxy, as a container or, since
// 1.27, as an init container that keeps running.
func hasSidecar(pod *corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers), func(c corev1.Container) bool { return c.Name == proxy })
}

func (w *workload) Namespace() string { return w.kubectl.Namespace }

func (w *workload) Apply(ctx context.Context, folder string) error {
	_, err := w.kubectl.Run(ctx, nil, "apply", "--kustomize="+folder)
	return err
}

func (w *workload) Delete(ctx context.Context, folder string) error {
	_, err := w.kubectl.Run(ctx, nil, "delete", "--kustomize="+folder)
	return err
}

// URL is where requests enter the client pod's sidecar.
func (w *workload) URL() string { return "http://" + w.mesh.egress.Address }

// Authority is the service that the client's sidecar routes to.
func (w *workload) Authority() string {
	return fmt.Sprintf("httpbin.%s.svc.cluster.local:%d", w.Namespace(), httpbinPort)
}

// Lacks returns the reason why scenarios cannot have a part here.
func (w *workload) Lacks(part scenario.Part) string {
	switch part {
	case scenario.PartServices:
		return "the cluster reaches no server of this machine"
	case scenario.PartUpstream, scenario.PartSeen:
		return "the upstream is a pod with httpbin"
	case scenario.PartAuthority:
		return "the client's sidecar routes by it"
	case scenario.PartPrometheus:
		return "Istio's bootstrap names the labels"
	}
	return ""
}

// client opens a connection for each request.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}

func (w *workload) Admin(ctx context.Context, path string) (string, error) {
	return ask(ctx, http.MethodGet, "http://"+w.admin.Address+path, "")
}

func (w *workload) ResetCounters(ctx context.Context) error {
	_, err := ask(ctx, http.MethodPost, "http://"+w.admin.Address+"/reset_counters", "")
	return err
}

// ask sends a request, and returns the body of an answer with status 200.
func ask(ctx context.Context, method, url, authority string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return "", err
	}
	req.Host = authority
	status, body, err := rollout.Do(client, req)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("ask %s: status %d: %s", url, status, body)
	}
	return string(body), err
}

func (w *workload) Log(ctx context.Context) ([]string, error) {
	log, err := w.mesh.client.CoreV1().Pods(w.Namespace()).GetLogs(w.pod, &corev1.PodLogOptions{Container: proxy}).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the proxy's log: %w", err)
	}
	return strings.Split(strings.TrimSuffix(string(log), "\n"), "\n"), nil
}

// Close begins to remove the namespace; awaitGone waits for that.
func (w *workload) Close() error {
	if w.admin != nil {
		w.admin.Close()
	}
	return w.mesh.deleteNamespace(w.Namespace())
}

// createNamespace creates a namespace that says what it is for.
func (m *mesh) createNamespace(ctx context.Context, name string) error {
	_, err := m.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:   name,
		Labels: map[string]string{"app.kubernetes.io/managed-by": managedBy, runLabel: m.namespace},
	}}, metav1.CreateOptions{})
	return err
}

// deleteNamespace lets the cluster delete a namespace, if there is one.
func (m *mesh) deleteNamespace(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := m.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("delete the namespace %s: %w", name, err)
}

// awaitGone waits until the last of this run's namespaces is gone. Each takes seconds,
// and all together take hardly longer.
func (m *mesh) awaitGone() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeTimeout, fmt.Errorf("still there after %v", closeTimeout))
	defer cancel()
	for {
		list, err := m.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: runLabel + "=" + m.namespace})
		if err != nil {
			return fmt.Errorf("look for the namespaces %s: %w", m.namespace, err)
		}
		if len(list.Items) == 0 {
			return nil
		}
		if err := wait(ctx); err != nil {
			return fmt.Errorf("delete the namespace %s: %w", list.Items[0].Name, err)
		}
	}
}
