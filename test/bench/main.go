// Bench measures Slipway's filters in real Envoy: what they cost, which is what
// "go tool mage bench" runs, and whether they last, for "go tool mage soak".
//
// It is a module of its own, as the load generator and the plots are of no use to
// anybody else. The environment variables are those of package deploy/config.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/config"
	"github.com/slipway-wasm/slipway/test/bench/cost"
	"github.com/slipway-wasm/slipway/test/bench/soak"
	"github.com/slipway-wasm/slipway/test/envoy"
)

func main() {
	root := flag.String("root", filepath.Join("..", ".."), "the repository's folder, which holds dist/ and which paths in variables start at")
	soaks := false
	var duration time.Duration
	flag.Func("soak", "soak the filters for so long, for example 2m, instead of measuring them", func(value string) (err error) {
		soaks = true
		duration, err = time.ParseDuration(value)
		return err
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *root, soaks, duration)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string, soaks bool, duration time.Duration) error {
	if soaks {
		if err := soak.CheckDuration(duration); err != nil {
			return err
		}
	}
	// Paths in variables are as seen from where mage runs.
	if err := os.Chdir(root); err != nil {
		return err
	}
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	opts := envoy.FindOptions{Path: c.EnvoyPath, Log: os.Stderr}
	if len(c.EnvoyVersions) > 0 {
		opts.Version = c.EnvoyVersions[len(c.EnvoyVersions)-1]
	}
	bin, err := envoy.Find(ctx, opts)
	if err != nil {
		return err
	}
	if soaks {
		return runSoak(ctx, c, bin, duration)
	}
	return runCost(ctx, c, bin)
}

func runCost(ctx context.Context, c config.Config, bin envoy.Binary) error {
	result, err := cost.Run(ctx, cost.Options{
		Root: ".", Dist: filepath.Join("dist", "bench"), Envoy: bin,
		Filters: c.Filters, Compiler: c.Compiler, GoToolchain: c.GoToolchain,
		Modules: c.BenchWasm, All: c.BenchAll,
		Log: os.Stderr,
	})
	if err != nil {
		return err
	}
	if err := result.WriteFiles("dist"); err != nil {
		return err
	}
	if err := result.WriteTable(os.Stdout); err != nil {
		return err
	}
	fmt.Println("\nwritten to dist/bench.json and dist/bench.md")
	if n := result.Errors(); n > 0 {
		return fmt.Errorf("%d requests failed; see the column errors", n)
	}
	return nil
}

func runSoak(ctx context.Context, c config.Config, bin envoy.Binary, duration time.Duration) error {
	filters, err := catalog.Load(catalog.LoadOptions{Names: soak.Filters})
	if err != nil {
		return err
	}
	modules, err := build.Build(ctx, build.Options{
		Filters: filters, Compiler: c.Compiler, GoToolchain: c.GoToolchain, Out: os.Stderr,
	})
	if err != nil {
		return err
	}
	report, err := soak.Run(ctx, soak.Options{Envoy: bin, Modules: modules, Duration: duration, Log: os.Stderr})
	if report != nil {
		fmt.Print(report)
	}
	return err
}
