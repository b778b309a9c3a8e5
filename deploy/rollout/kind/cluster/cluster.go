// Package cluster brings up and removes a kind cluster with Istio and a registry.
//
// It exists so that the smoke test has a whole mesh wherever docker is: real
// Kubernetes, Istio's own charts, sidecars with their iptables and certificates.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"
	"sigs.k8s.io/kind/pkg/exec"

	"github.com/slipway-wasm/slipway/deploy/rollout/kind/docker"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/istio"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/kubectl"
)

// Name is kind's name of the cluster.
const Name = "slipway"

// readyTimeout bounds how long the node takes to become ready.
const readyTimeout = 3 * time.Minute

// UpOptions say what the cluster is made of.
type UpOptions struct {
	// Dir is the folder for the kubeconfig and, after a failure, for logs.
	// Required.
	Dir string
	// NodeImage is kind's node image. Default: that of the linked release of kind.
	NodeImage string
	// RegistryImage is the image of the registry. Default: DefaultRegistryImage.
	RegistryImage string
	// Images are loaded into the node, as Istio's are, if docker has them. The node
	// pulls the others when a pod asks for them.
	Images []string
	// Istio is what to install; its Kubeconfig is set here.
	Istio istio.Options
	// Out gets one line for each thing that was done, with the time that it took.
	// Required.
	Out io.Writer
}

// Kubeconfig returns the path of the file that Up writes. It exists as long as the
// cluster does.
func Kubeconfig(dir string) string { return filepath.Join(dir, "kubeconfig") }

// Up brings up the cluster. After a failure, or when ctx ends, it removes everything
// but kind's logs, which are in a folder that the error names.
func Up(ctx context.Context, opts UpOptions) error {
	provider := newProvider()
	existing, err := provider.List()
	if err != nil {
		return fmt.Errorf("list kind's clusters: %w", said(err))
	}
	if slices.Contains(existing, Name) {
		return fmt.Errorf(`the kind cluster %q is there already: use it with "go tool mage kind:smoke" or remove it with "go tool mage kind:down"`, Name)
	}
	// A wrong folder or file is found before anything is started.
	charts, err := istio.Load(opts.Istio)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(opts.Dir, 0o755); err != nil {
		return err
	}
	start := time.Now()
	if err := up(ctx, provider, charts, opts); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		} else {
			err = errors.Join(err, keepLogs(provider, opts.Dir))
		}
		return errors.Join(err, Down(context.WithoutCancel(ctx), DownOptions{Dir: opts.Dir}))
	}
	kubeconfig, err := filepath.Abs(Kubeconfig(opts.Dir))
	if err != nil {
		return err
	}
	fmt.Fprintf(opts.Out, "The cluster is up after %.0f s. For kubectl: export KUBECONFIG=%s\n", time.Since(start).Seconds(), kubeconfig)
	return nil
}

func up(ctx context.Context, provider *cluster.Provider, charts *istio.Charts, opts UpOptions) error {
	step := func(name string, do func() error) error {
		start := time.Now()
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		fmt.Fprintf(opts.Out, "%-28s %5.1f s\n", name, time.Since(start).Seconds())
		return nil
	}
	kubeconfig := Kubeconfig(opts.Dir)
	if err := step("kind cluster", func() error { return create(ctx, provider, kubeconfig, opts.NodeImage) }); err != nil {
		return err
	}
	all, err := provider.ListNodes(Name)
	if err != nil {
		return said(err)
	}
	// Steps that wait for the registry or the API server leave the processor to those
	// that unpack images.
	var group errgroup.Group
	group.Go(func() error {
		return step("registry", func() error {
			return startRegistry(ctx, all, opts.RegistryImage, kubectl.Kubectl{Kubeconfig: kubeconfig})
		})
	})
	group.Go(func() error {
		return step("Istio's CRDs", func() error { return charts.InstallBase(ctx, kubeconfig) })
	})
	group.Go(func() error {
		images := slices.Concat(opts.Istio.Images(), opts.Images)
		return step("images docker has", func() error { return loadImages(ctx, all, images, opts.Out) })
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return step("Istio's control plane", func() error { return charts.InstallControlPlane(ctx, kubeconfig) })
}

func newProvider() *cluster.Provider { return cluster.NewProvider(cluster.ProviderWithDocker()) }

// create lets kind create the cluster. kind cannot be interrupted, but gives up when
// its node is gone.
func create(ctx context.Context, provider *cluster.Provider, kubeconfig, nodeImage string) error {
	done := make(chan error, 1)
	go func() {
		done <- provider.Create(Name,
			cluster.CreateWithNodeImage(nodeImage),
			cluster.CreateWithKubeconfigPath(kubeconfig),
			cluster.CreateWithWaitForReady(readyTimeout),
			cluster.CreateWithRetain(true), // for its logs
			cluster.CreateWithDisplayUsage(false),
			cluster.CreateWithDisplaySalutation(false))
	}()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return said(err)
		case <-ticker.C:
			if ctx.Err() != nil {
				// kind may not have started its node yet, so this is tried again.
				_ = provider.Delete(Name, kubeconfig)
			}
		}
	}
}

// loadImages hands images of the docker daemon to containerd in the node, as "kind
// load" does.
func loadImages(ctx context.Context, all []nodes.Node, images []string, out io.Writer) error {
	images = slices.DeleteFunc(slices.Clone(images), func(image string) bool {
		return strings.Contains(image, "@") // docker saves no digests, so the node would pull them anyway
	})
	present, err := docker.Present(ctx, images)
	if err != nil || len(present) == 0 {
		return err
	}
	for _, node := range all {
		if err := loadInto(ctx, node, present); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			// With some of docker's image stores this cannot work:
			// https://github.com/kubernetes-sigs/kind/issues/3795
			fmt.Fprintf(out, "images cannot be loaded, so the node pulls them: %v\n", err)
		}
	}
	return nil
}

func loadInto(ctx context.Context, node nodes.Node, images []string) error {
	reader, writer := io.Pipe()
	var group errgroup.Group
	group.Go(func() error {
		err := docker.Save(ctx, writer, images)
		_ = writer.CloseWithError(err) // always nil
		return err
	})
	group.Go(func() error {
		err := said(nodeutils.LoadImageArchive(node, reader))
		_ = reader.CloseWithError(err) // always nil
		return err
	})
	return group.Wait()
}

// keepLogs writes what kind can say of the cluster into a folder below dir and
// returns an error that names it.
func keepLogs(provider *cluster.Provider, dir string) error {
	folder, err := os.MkdirTemp(dir, "failure-")
	if err != nil {
		return err
	}
	if err := provider.CollectLogs(Name, folder); err != nil {
		return fmt.Errorf("not all of kind's logs could be collected in %s: %w", folder, said(err))
	}
	return fmt.Errorf("kind's logs are in %s", folder)
}

// CollectLogs writes kind's logs into a folder.
func CollectLogs(folder string) error { return said(newProvider().CollectLogs(Name, folder)) }

// DownOptions say what to remove.
type DownOptions struct {
	// Dir is that of UpOptions. Required.
	Dir string
}

// Down removes what Up started, whatever its state. It is no error if there is nothing.
// The docker network "kind" stays, because other clusters may use it.
func Down(ctx context.Context, opts DownOptions) error {
	err := said(newProvider().Delete(Name, Kubeconfig(opts.Dir)))
	_, registryErr := docker.Run(ctx, "rm", "--force", "--volumes", RegistryName)
	fileErr := os.Remove(Kubeconfig(opts.Dir))
	if errors.Is(fileErr, os.ErrNotExist) {
		fileErr = nil
	}
	return errors.Join(err, registryErr, fileErr)
}

// said adds the output of kind's command to an error. kind itself leaves it out.
func said(err error) error {
	failed := exec.RunErrorForError(err)
	if err == nil || failed == nil || len(failed.Output) == 0 {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(failed.Output)), "\n")
	return fmt.Errorf("%w: %s", err, strings.Join(lines[max(0, len(lines)-20):], "\n"))
}
