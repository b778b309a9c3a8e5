// Command kind brings up a kind cluster with Istio, plays Slipway's roll-out in it or
// in any other cluster, and removes it. "go tool mage kind:up", "kind:smoke" and
// "kind:down" run it in the repository's root; package
// deploy/variables reads the environment variables.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/cluster"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/istio"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/kubectl"
	"github.com/slipway-wasm/slipway/deploy/rollout/kind/smoke"
	"github.com/slipway-wasm/slipway/deploy/targets"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// dir is the folder of the kubeconfig and of what is kept after a failure.
var dir = filepath.Join("dist", "kind")

func main() {
	if len(os.Args) > 1 && os.Args[1] == kubectl.Command {
		kubectl.Main()
	}
	klog.SetLogger(klog.Logger{}) // drops libraries' chatter; their errors are returned
	// The signals are never released, so cleaning up also survives a second Ctrl-C.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	c, err := variables.FromEnv()
	if err != nil {
		return err
	}
	own, err := variables.Read[variables.Kind]()
	if err != nil {
		return err
	}
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	kubeContext := flags.String("context", "", "kubectl's context of the cluster for smoke")
	published := flags.String("published", "", "version, or git tag, that smoke rolls out as well, as it is published")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch command {
	case "up":
		return cluster.Up(ctx, upOptions(c, own))
	case "down":
		return cluster.Down(ctx, cluster.DownOptions{Dir: dir})
	case "smoke":
		opts, err := smokeOptions(ctx, c, own, *kubeContext)
		if err != nil {
			return err
		}
		if *published != "" {
			out := targets.Output{Out: os.Stdout, Err: os.Stderr}
			if opts.Published, err = targets.Published(ctx, c, *published, out); err != nil {
				return err
			}
		}
		return smoke.Run(ctx, opts)
	}
	return errors.New("usage: kind up | smoke [-context=NAME] [-published=VERSION] | down | kubectl …")
}

func upOptions(c variables.Values, own variables.Kind) cluster.UpOptions {
	return cluster.UpOptions{
		Dir:           dir,
		NodeImage:     own.NodeImage,
		RegistryImage: registryImage(own),
		Images:        []string{httpbinImage(c)},
		Istio:         istio.Options{Hub: own.IstioHub, Tag: own.IstioTag, Charts: own.IstioCharts, Values: own.IstioValues},
		Out:           os.Stdout,
	}
}

// smokeOptions choose the cluster: the named one, else that of "up" if it is there,
// else kubectl's current one.
func smokeOptions(ctx context.Context, c variables.Values, own variables.Kind, kubeContext string) (smoke.Options, error) {
	opts := smoke.Options{
		Dir:           dir,
		Context:       kubeContext,
		RegistryImage: registryImage(own),
		HTTPBinImage:  c.HTTPBinImage,
		Filters:       c.Filters,
		Compiler:      c.Compiler,
		GoToolchain:   c.GoToolchain,
		TinyGoVersion: c.TinyGoVersion,
		Out:           os.Stdout,
	}
	kubeconfig := cluster.Kubeconfig(dir)
	if _, err := os.Stat(kubeconfig); kubeContext != "" || errors.Is(err, os.ErrNotExist) {
		return opts, nil
	}
	address, err := cluster.RegistryAddress(ctx)
	if err != nil {
		return opts, fmt.Errorf(`%w; the cluster of "go tool mage kind:up" is not whole: remove it with "go tool mage kind:down"`, err)
	}
	opts.Kubeconfig = kubeconfig
	opts.Registry = smoke.Registry{Address: address, InCluster: cluster.InCluster}
	opts.CollectLogs = cluster.CollectLogs
	return opts, nil
}

func registryImage(own variables.Kind) string {
	if own.RegistryImage != "" {
		return own.RegistryImage
	}
	return cluster.DefaultRegistryImage
}

func httpbinImage(c variables.Values) string {
	if c.HTTPBinImage != "" {
		return c.HTTPBinImage
	}
	return manifest.DefaultHTTPBinImage
}
