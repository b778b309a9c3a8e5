// Package smoke plays the roll-out in a cluster that has Istio.
//
// It exists because only a cluster has all of it: the API server's schema, istiod's
// webhook, injection, iptables, certificates, and kubectl in between. It works in
// namespaces of its own, whose names begin with "slipway-smoke-", and removes them.
package smoke

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/rollout"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/kubectl"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// managedBy is the value of the label app.kubernetes.io/managed-by of all namespaces.
const managedBy = "slipway-smoke"

// runLabel is a label of all namespaces of one run.
const runLabel = "app.kubernetes.io/instance"

// Options say where to play.
type Options struct {
	// Root is the repository's folder. Default: ".".
	Root string
	// Dir is the folder for what is kept after a failure. Required.
	Dir string
	// Kubeconfig and Context say which cluster. Default: kubectl's own.
	Kubeconfig, Context string
	// Published is a version to roll out as it is published: see rollout.RollOut.
	// Default: none.
	Published []manifest.Source
	// Registry is a registry that this machine and the cluster reach. Default: one is
	// started in the cluster.
	Registry Registry
	// RegistryImage is the image of the registry that is started.
	RegistryImage string
	// HTTPBinImage is that of manifest.RenderOptions.
	HTTPBinImage string
	// Filters are those of rollout.Options.
	Filters []string
	// Compiler, GoToolchain and TinyGoVersion are those of build.Options.
	Compiler, GoToolchain, TinyGoVersion string
	// CollectLogs adds what else is known of the cluster to a folder. Default: it adds
	// nothing.
	CollectLogs func(folder string) error
	// Out gets what was seen. Required.
	Out io.Writer
}

// Registry is a registry without credentials, in plain HTTP.
type Registry struct {
	// Address is its host and port for this machine, InCluster for proxies.
	Address, InCluster string
}

// Run plays all plans. If one fails, the error names the folder with what was kept.
// Whatever happens, the cluster is left as it was.
func Run(ctx context.Context, opts Options) (err error) {
	start := time.Now()
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = opts.Kubeconfig
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: opts.Context})
	config, err := loaded.ClientConfig()
	if err != nil {
		return fmt.Errorf(`find a cluster: %w; start one with "go tool mage kind:up" or give kubectl one`, err)
	}
	// The plans send many requests, side by side.
	config.QPS, config.Burst = 100, 200
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the cluster %s for its version: %w", config.Host, err)
	}
	id := strings.ToLower(rand.Text()[:5])
	m := &mesh{
		kubectl:   kubectl.Kubectl{Kubeconfig: opts.Kubeconfig, Context: opts.Context},
		config:    config,
		client:    client,
		namespace: "slipway-smoke-" + id,
		failures:  filepath.Join(opts.Dir, "failure-"+id),
	}
	fmt.Fprintf(opts.Out, "Playing in Kubernetes %s at %s, in namespaces %s…\n", version.GitVersion, config.Host, m.namespace)
	if err := m.run(ctx, opts); err != nil {
		if ctx.Err() != nil {
			return errors.Join(errors.New("interrupted"), os.RemoveAll(m.failures))
		}
		return fmt.Errorf("%w\nlogs, configurations and events are kept in %s", err, m.failures)
	}
	fmt.Fprintf(opts.Out, "The smoke test took %.0f s.\n", time.Since(start).Seconds())
	return nil
}

func (m *mesh) run(ctx context.Context, opts Options) (err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = errors.Join(err, m.keepControlPlane(context.WithoutCancel(ctx)))
			if opts.CollectLogs != nil {
				err = errors.Join(err, opts.CollectLogs(filepath.Join(m.failures, "kind")))
			}
		}
	}()
	defer func() { err = errors.Join(err, m.awaitGone()) }()
	registry := opts.Registry
	if registry.Address == "" {
		var done func() error
		if registry, done, err = m.startRegistry(ctx, opts.RegistryImage); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
	}
	m.registry = registry.InCluster

	r, done, err := m.prepare(ctx, opts, registry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := r.RollOut(opts.Published); err != nil {
		return err
	}
	manifests, err := r.Manifests(ctx)
	if err != nil {
		return err
	}
	folders, err := filepath.Glob(filepath.Join(manifests, "*", httpbinForm))
	if err != nil || len(folders) == 0 {
		return fmt.Errorf("%s has no form %s of any filter: %w", manifests, httpbinForm, err)
	}
	m.httpbin = folders[0]

	client, err := m.startClient(ctx, r.Plans())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			_, keepErr := client.Keep(context.WithoutCancel(ctx))
			err = errors.Join(err, keepErr)
		}
		m.egress.Close()
		err = errors.Join(err, client.Close())
	}()
	checked := time.Now()
	if err := checkAdmission(ctx, client.kubectl, manifests); err != nil {
		return fmt.Errorf("kubectl apply --dry-run=server: %w", err)
	}
	fmt.Fprintf(opts.Out, "Schema and webhook admit all forms and refuse %d mistakes, %.1f s.\n", len(refusals), time.Since(checked).Seconds())
	return r.PlayAll(ctx, m)
}

// prepare builds the releases. The storage is a folder here, which proxies cannot
// reach. They fetch the same bytes from the registry, where a module is a blob: raw, by
// plain GET, under its sha256.
func (m *mesh) prepare(ctx context.Context, opts Options, registry Registry) (_ *rollout.Rollout, done func() error, err error) {
	dir, err := os.MkdirTemp("", "slipway-smoke-")
	if err != nil {
		return nil, nil, err
	}
	files, err := httpstore.Serve(httpstore.ServeOptions{Dir: dir})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	close := func() error { return errors.Join(files.Close(), os.RemoveAll(dir)) }
	r, err := rollout.Prepare(ctx, rollout.Options{
		Root:          opts.Root,
		Filters:       opts.Filters,
		Compiler:      opts.Compiler,
		GoToolchain:   opts.GoToolchain,
		TinyGoVersion: opts.TinyGoVersion,
		Registry:      oci.RegistryOptions{Address: path.Join(registry.Address, m.namespace)},
		Storage:       storage.Options{URL: "file://" + filepath.ToSlash(dir), PublicURL: strings.TrimSuffix(files.URL(""), "/")},
		HTTPBinImage:  opts.HTTPBinImage,
		ProxySees: func(release manifest.Source) manifest.Source {
			name := strings.TrimPrefix(release.Repository, registry.Address+"/")
			release.Repository = registry.InCluster + "/" + name
			release.URL = "http://" + registry.InCluster + "/v2/" + name + "/blobs/sha256:" + release.WasmSHA256
			return release
		},
		Out: opts.Out,
	})
	if err != nil {
		return nil, nil, errors.Join(err, close())
	}
	return r, func() error { return errors.Join(r.Close(), close()) }, nil
}
