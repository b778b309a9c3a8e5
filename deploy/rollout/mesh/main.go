//go:build linux

// Command mesh rolls filters out in a mesh of plain processes: Istio's control plane within
// this process, its unmodified agent with a real Envoy as each workload's sidecar, and httpbin
// behind it. Package rollout has the steps. "go tool mage mesh" runs it in the root of a
// repository with filters; package deploy/variables reads the environment variables.
//
// It exists because only Istio shows what Istio does with a manifest and an artifact, and
// because nobody runs what needs a cluster. All of Istio is real here except its Kubernetes
// client.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"istio.io/istio/pkg/test"

	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/rollout"
	"github.com/slipway-wasm/slipway/deploy/rollout/mesh/agent"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, foreground.Advise(err))
		os.Exit(1)
	}
}

// run plays everything and prints the table of the steps. After a failure, the logs and the
// configurations are kept.
func run(ctx context.Context) error {
	c, err := variables.FromEnv()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "slipway-mesh-")
	if err != nil {
		return err
	}
	err = play(ctx, c, dir)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w\nlogs and configurations are kept in %s", err, dir)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func play(ctx context.Context, c variables.Values, dir string) (err error) {
	// What is closed is closed in the end, also after an error.
	closing := func(closer func() error) { err = errors.Join(err, closer()) }

	images, err := registry.Start(ctx, registry.Options{Dir: filepath.Join(dir, "registry")})
	if err != nil {
		return err
	}
	defer func() { closing(images.Close) }()
	folder := filepath.Join(dir, "storage")
	files, err := httpstore.Serve(httpstore.ServeOptions{Dir: folder})
	if err != nil {
		return err
	}
	defer func() { closing(files.Close) }()
	proxy, err := envoy.Find(ctx, envoy.FindOptions{Path: c.EnvoyPath, Log: os.Stdout})
	if err != nil {
		return err
	}
	r, err := rollout.Prepare(ctx, rollout.Options{
		Filters:       c.Filters,
		EnvoyVersion:  proxy.Version,
		Compiler:      c.Compiler,
		GoToolchain:   c.GoToolchain,
		TinyGoVersion: c.TinyGoVersion,
		Registry:      oci.RegistryOptions{Address: images.Addr()},
		Storage:       storage.Options{URL: "file://" + folder, PublicURL: files.URL("")[:len(files.URL(""))-1]},
		Out:           os.Stdout,
	})
	if err != nil {
		return err
	}
	defer func() { closing(r.Close) }()
	published, err := r.Publish(ctx, "elsewhere")
	if err != nil {
		return err
	}
	if err := r.RollOut(published[:1]); err != nil { // V8 needs seconds for each
		return err
	}

	m := &mesh{dir: dir, registry: images.Addr(), envoy: proxy}
	if m.agent, err = agent.Build(ctx, os.Stdout); err != nil {
		return err
	}
	if m.bootstrap, err = agent.BootstrapTemplate(ctx); err != nil {
		return err
	}
	if m.data, err = agent.OpenDataDir(ctx, agent.DefaultDataDir, os.Stdout); err != nil {
		return err
	}
	defer func() { closing(m.data.Close) }()
	// Istio's control plane for tests ends when the function does.
	var played error
	err = test.Wrap(func(t test.Failer) {
		m.istiod = startIstiod(t, filepath.Join(dir, "istiod.log"))
		played = r.PlayAll(ctx, m)
	})
	return errors.Join(played, err)
}
