//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	meshconfig "istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/collections"
	_ "istio.io/istio/pkg/config/validation/envoyfilter" // registers the check of EnvoyFilters
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
)

// istiod is Istio's control plane within this process: its real xDS server on a TCP
// port and its real generation of configurations.
type istiod struct {
	store model.ConfigStore
	// address is where agents find it.
	address string

	mu      sync.Mutex
	applied map[string]config.Config // by nameOf
}

// plaintext lets agents do without certificates, which they could only get with
// Kubernetes' tokens.
const plaintext = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: DISABLE}}
`

// debounce is how long istiod waits for further changes, PILOT_DEBOUNCE_AFTER. After
// two pushes at once, the agent may forward the older one last if that takes longer to
// fetch. Envoy then keeps the older one:
// https://github.com/istio/istio/blob/1.31.1/pkg/istio-agent/xds_proxy_delta.go
const debounce = 100 * time.Millisecond

func startIstiod(t test.Failer, logFile string) *istiod {
	t.Helper()
	logs := log.DefaultOptions()
	logs.OutputPaths, logs.ErrorOutputPaths = []string{logFile}, []string{logFile}
	if err := log.Configure(logs); err != nil {
		t.Fatal(err)
	}
	// The Envoy that its own project releases lacks the filters that Istio adds to
	// Istio's Envoy.
	features.MetadataExchange, features.ALPNFilter = false, false
	mesh, err := meshconfig.ApplyMeshConfigDefaults("{enableTracing: false, enableAutoMtls: false, extensionProviders: []}")
	if err != nil {
		t.Fatal(err)
	}
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		MeshConfig:      mesh,
		ConfigString:    plaintext,
		DebounceTime:    debounce,
		ListenerBuilder: func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") },
	})
	return &istiod{
		store:   server.Store(),
		address: server.Listener.Addr().String(),
		applied: map[string]config.Config{},
	}
}

// apply creates or replaces objects, if Istio's admission webhook would accept them.
// Objects without a namespace get one.
func (i *istiod) apply(manifests, namespace string) error {
	objects, err := parse(manifests, namespace)
	if err != nil {
		return err
	}
	for _, o := range objects {
		schema, ok := collections.Pilot.FindByGroupVersionAliasesKind(o.GroupVersionKind)
		if !ok {
			return fmt.Errorf("apply %s: Istio does not know it", nameOf(o))
		}
		if _, err := schema.ValidateConfig(o); err != nil {
			return fmt.Errorf("apply %s: Istio refuses it: %w", nameOf(o), err)
		}
		if err := i.put(o); err != nil {
			return fmt.Errorf("apply %s: %w", nameOf(o), err)
		}
	}
	return nil
}

func (i *istiod) put(o config.Config) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.applied[nameOf(o)] = o
	if old := i.store.Get(o.GroupVersionKind, o.Name, o.Namespace); old != nil {
		o.ResourceVersion = old.ResourceVersion
		_, err := i.store.Update(o)
		return err
	}
	_, err := i.store.Create(o)
	return err
}

func (i *istiod) delete(manifests, namespace string) error {
	objects, err := parse(manifests, namespace)
	if err != nil {
		return err
	}
	return i.deleteAll(objects)
}

// deleteNamespace deletes everything that was applied to a namespace.
func (i *istiod) deleteNamespace(namespace string) error {
	i.mu.Lock()
	var objects []config.Config
	for _, o := range i.applied {
		if o.Namespace == namespace {
			objects = append(objects, o)
		}
	}
	i.mu.Unlock()
	return i.deleteAll(objects)
}

func (i *istiod) deleteAll(objects []config.Config) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	var failures []error
	for _, o := range objects {
		if err := i.store.Delete(o.GroupVersionKind, o.Name, o.Namespace, nil); err != nil {
			failures = append(failures, fmt.Errorf("delete %s: %w", nameOf(o), err))
		}
		delete(i.applied, nameOf(o))
	}
	return errors.Join(failures...)
}

func parse(manifests, namespace string) ([]config.Config, error) {
	objects, unknown, err := crd.ParseInputs(manifests)
	if err != nil {
		return nil, fmt.Errorf("read manifests as Istio does: %w", err)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("read manifests as Istio does: it does not know %s %s", unknown[0].Kind, unknown[0].Name)
	}
	for i := range objects {
		if objects[i].Namespace == "" {
			objects[i].Namespace = namespace
		}
	}
	return objects, nil
}

func nameOf(o config.Config) string {
	return fmt.Sprintf("%s %s/%s", o.GroupVersionKind.Kind, o.Namespace, o.Name)
}
