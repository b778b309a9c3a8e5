package smoke

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

const (
	registryPort = 5000 // what the image listens on
	// registryManifest has no sidecar, because agents fetch in plain HTTP and not
	// through their Envoy. The registry's files go with the pod.
	registryManifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: registry}
spec:
  selector: {matchLabels: {app: registry}}
  template:
    metadata:
      labels: {app: registry, sidecar.istio.io/inject: "false"}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      containers:
      - name: registry
        image: %[1]s
        imagePullPolicy: IfNotPresent
        ports: [{name: http, containerPort: %[2]d}]
        readinessProbe:
          httpGet: {path: /v2/, port: http}
          periodSeconds: 1
        resources:
          requests: {cpu: 10m, memory: 64Mi}
---
apiVersion: v1
kind: Service
metadata: {name: registry}
spec:
  selector: {app: registry}
  ports: [{name: http, port: %[2]d}]
`
)

// startRegistry starts a registry in a namespace of its own, reachable from here
// through a tunnel. done removes it.
func (m *mesh) startRegistry(ctx context.Context, image string) (_ Registry, done func() error, err error) {
	namespace := m.namespace + "-registry"
	remove := func() error { return m.deleteNamespace(namespace) }
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start a registry: %w", err), remove())
		}
	}()
	if err := m.createNamespace(ctx, namespace); err != nil {
		return Registry{}, nil, err
	}
	manifest := fmt.Sprintf(registryManifest, image, registryPort)
	if _, err := m.kubectl.In(namespace).Run(ctx, strings.NewReader(manifest), "apply", "--filename=-"); err != nil {
		return Registry{}, nil, err
	}
	pod, err := m.awaitPod(ctx, namespace, "app=registry")
	if err != nil {
		return Registry{}, nil, err
	}
	t, err := openTunnel(ctx, m.config, m.client, namespace, pod, registryPort)
	if err != nil {
		return Registry{}, nil, err
	}
	return Registry{Address: t.Address, InCluster: fmt.Sprintf("registry.%s.svc.cluster.local:%d", namespace, registryPort)},
		func() error { t.Close(); return remove() }, nil
}
