// Package istio installs Istio's control plane by its own charts, with Helm.
package istio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/cli/values"
	"helm.sh/helm/v4/pkg/getter"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/registry"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	loadv2 "helm.sh/helm/v4/pkg/chart/v2/loader"
)

const (
	// DefaultHub is the only place with the images of 1.31 and later.
	// Reference: https://istio.io/latest/blog/2026/retirement-of-gcr.io/
	DefaultHub = "docker.io/istio"
	// DefaultTag is the release whose source test/consumers has.
	DefaultTag = "1.31.1"
	// DefaultCharts is where the charts remain after December 2026.
	// Reference: https://github.com/istio/istio.io/pull/17539
	DefaultCharts = "https://blob.istio.io/istio-release/charts"

	// Namespace is where the control plane runs.
	Namespace = "istio-system"

	timeout = 5 * time.Minute
)

// Options say what to install.
type Options struct {
	// Kubeconfig is the file that names the cluster in its current context.
	// Required.
	Kubeconfig string
	// Hub and Tag name the images. Default: DefaultHub and DefaultTag.
	Hub, Tag string
	// Charts is a Helm repository (https:// or oci://) that has the version Tag, or a
	// folder. The folder is manifests/charts of a release or of Istio's source, or has
	// the charts base and istiod, unpacked or as .tgz. Default: DefaultCharts.
	Charts string
	// Values are Helm values files for the chart istiod. They override what is set
	// here. Default: none.
	Values []string
}

func (o Options) defaults() Options {
	o.Hub = cmp.Or(o.Hub, DefaultHub)
	o.Tag = cmp.Or(o.Tag, DefaultTag)
	o.Charts = cmp.Or(o.Charts, DefaultCharts)
	return o
}

// Images returns the images of the control plane and of the sidecar.
func (o Options) Images() []string {
	o = o.defaults()
	return []string{path.Join(o.Hub, "pilot") + ":" + o.Tag, path.Join(o.Hub, "proxyv2") + ":" + o.Tag}
}

// Charts holds the charts that Install installs.
type Charts struct {
	base, istiod chart.Charter
	values       map[string]any
}

// Load fetches or reads the charts and the values. It needs no cluster.
func Load(opts Options) (*Charts, error) {
	opts = opts.defaults()
	base, err := load(opts, "base", "base")
	if err != nil {
		return nil, err
	}
	istiod, err := load(opts, "istiod", filepath.Join("istio-control", "istio-discovery"))
	if err != nil {
		return nil, err
	}
	extra, err := (&values.Options{ValueFiles: opts.Values}).MergeValues(getter.All(cli.New()))
	if err != nil {
		return nil, fmt.Errorf("read Istio's values: %w", err)
	}
	return &Charts{base: base, istiod: istiod, values: loadv2.MergeMaps(small(opts), extra)}, nil
}

// small are values with which a control plane and some sidecars fit a laptop or a
// CI machine of two cores. istiod asks for 500m by default.
func small(opts Options) map[string]any {
	requests := func(cpu, memory string) map[string]any {
		return map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}}
	}
	return map[string]any{
		"global": map[string]any{
			"hub": opts.Hub, "tag": opts.Tag,
			// What was loaded into the node must not be pulled.
			"imagePullPolicy": "IfNotPresent",
			"proxy":           map[string]any{"resources": requests("10m", "64Mi")},
		},
		"pilot": map[string]any{"autoscaleEnabled": false, "resources": requests("50m", "256Mi")},
	}
}

// load returns a chart by its published name, or by its place in Istio's source.
func load(opts Options, name, inSource string) (chart.Charter, error) {
	if u, err := url.Parse(opts.Charts); strings.Contains(opts.Charts, "://") && (err != nil || u.User != nil || u.RawQuery != "") {
		return nil, errors.New("find Istio's charts: ISTIO_CHARTS is no URL, or holds credentials, which would appear in logs; download the charts, and name their folder")
	}
	file, err := locate(opts, name, inSource)
	if err != nil {
		return nil, fmt.Errorf("find Istio's chart %s in %s: %w", name, opts.Charts, err)
	}
	c, err := loader.Load(file)
	if err != nil {
		return nil, fmt.Errorf("read Istio's chart %s: %w", file, err)
	}
	return c, nil
}

func locate(opts Options, name, inSource string) (string, error) {
	if !strings.Contains(opts.Charts, "://") {
		for _, file := range []string{inSource, name} {
			file = filepath.Join(opts.Charts, file)
			if _, err := os.Stat(filepath.Join(file, "Chart.yaml")); err == nil {
				return file, nil
			}
		}
		archives, err := filepath.Glob(filepath.Join(opts.Charts, name+"-*.tgz"))
		if err != nil {
			return "", err
		}
		if len(archives) != 1 {
			return "", fmt.Errorf("%d files %s-*.tgz and no folder %s or %s with a Chart.yaml", len(archives), name, inSource, name)
		}
		return archives[0], nil
	}
	client, err := registry.NewClient()
	if err != nil {
		return "", err
	}
	find := action.NewInstall(action.NewConfiguration())
	find.SetRegistryClient(client)
	find.Version = opts.Tag
	if registry.IsOCI(opts.Charts) {
		name = strings.TrimSuffix(opts.Charts, "/") + "/" + name
	} else {
		find.RepoURL = opts.Charts
	}
	return find.LocateChart(name, cli.New())
}

// InstallBase installs the CRDs.
func (c *Charts) InstallBase(ctx context.Context, kubeconfig string) error {
	return install(ctx, kubeconfig, "istio-base", c.base, nil)
}

// InstallControlPlane installs istiod and waits until it is ready.
func (c *Charts) InstallControlPlane(ctx context.Context, kubeconfig string) error {
	return install(ctx, kubeconfig, "istiod", c.istiod, c.values)
}

func install(ctx context.Context, kubeconfig, release string, c chart.Charter, values map[string]any) error {
	flags := genericclioptions.NewConfigFlags(true)
	flags.KubeConfig = &kubeconfig
	namespace := Namespace
	flags.Namespace = &namespace
	configuration := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	if err := configuration.Init(flags, Namespace, "secret"); err != nil {
		return fmt.Errorf("install %s: %w", release, err)
	}
	i := action.NewInstall(configuration)
	i.ReleaseName, i.Namespace, i.CreateNamespace = release, Namespace, true
	i.WaitStrategy, i.Timeout = kube.StatusWatcherStrategy, timeout
	if _, err := i.RunWithContext(ctx, c, values); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("install %s: %w", release, err)
	}
	return nil
}
