// Bench measures filters, and Slipway. "go tool mage bench" measures what a repository's
// filters cost a request in real Envoy, and how the cost of Slipway's pipeline grows with
// the number of filters. "go tool mage soak" checks that the filters last. Both run it in the
// repository's root.
//
// It is a module of its own, because nobody else needs the load generator and the
// plots. Package deploy/variables reads the environment variables.
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

	"github.com/slipway-wasm/slipway/deploy/bench/cost"
	"github.com/slipway-wasm/slipway/deploy/bench/marked"
	"github.com/slipway-wasm/slipway/deploy/bench/pipeline"
	"github.com/slipway-wasm/slipway/deploy/bench/report"
	"github.com/slipway-wasm/slipway/deploy/bench/soak"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

func main() {
	soaks := false
	var duration time.Duration
	flag.Func("soak", "soak the filters for so long, for example 2m, instead of measuring them", func(value string) (err error) {
		soaks = true
		duration, err = time.ParseDuration(value)
		return err
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, soaks, duration)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, soaks bool, duration time.Duration) error {
	if soaks {
		if err := soak.CheckDuration(duration); err != nil {
			return err
		}
	}
	c, err := variables.FromEnv()
	if err != nil {
		return err
	}
	if soaks {
		return runSoak(ctx, c, duration)
	}
	return runBench(ctx, c)
}

func findEnvoy(ctx context.Context, c variables.Values) (envoy.Binary, error) {
	opts := envoy.FindOptions{Path: c.EnvoyPath, Log: os.Stderr}
	if len(c.EnvoyVersions) > 0 {
		opts.Version = c.EnvoyVersions[len(c.EnvoyVersions)-1]
	}
	return envoy.Find(ctx, opts)
}

// The parts of a bench, as BENCH_ONLY names them.
const (
	filtersOnly  = "filters"
	pipelineOnly = "pipeline"
)

func runBench(ctx context.Context, c variables.Values) error {
	own, err := variables.Read[variables.Bench]()
	if err != nil {
		return err
	}
	if own.Only != "" && own.Only != filtersOnly && own.Only != pipelineOnly {
		return fmt.Errorf("BENCH_ONLY is %q; it is %s, %s or not set", own.Only, filtersOnly, pipelineOnly)
	}
	measured, err := report.New(ctx, ".")
	if err != nil {
		return err
	}
	if own.Only != pipelineOnly {
		if measured.Filters, err = benchFilters(ctx, c, own); err != nil {
			return err
		}
	}
	if own.Only != filtersOnly {
		if measured.Pipeline, err = benchPipeline(ctx, c, own); err != nil {
			return err
		}
	}
	if err := measured.WriteFiles("dist"); err != nil {
		return err
	}
	if err := measured.WriteTable(os.Stdout); err != nil {
		return err
	}
	fmt.Println("\nwritten to dist/bench.json and dist/bench.md")
	return measured.Err()
}

func benchFilters(ctx context.Context, c variables.Values, own variables.Bench) (*cost.Result, error) {
	bin, err := findEnvoy(ctx, c)
	if err != nil {
		return nil, err
	}
	return cost.Run(ctx, cost.Options{
		Root: ".", Dist: filepath.Join("dist", "bench"), Envoy: bin,
		Filters: c.Filters, Compiler: c.Compiler, GoToolchain: c.GoToolchain, TinyGoVersion: c.TinyGoVersion,
		Modules: own.Wasm, All: own.All,
		Log: os.Stderr,
	})
}

func benchPipeline(ctx context.Context, c variables.Values, own variables.Bench) (*pipeline.Result, error) {
	opts := pipeline.Options{
		Filters: []int{1, 10}, Releases: []int{1},
		Compiler: c.Compiler, GoToolchain: c.GoToolchain, TinyGoVersion: c.TinyGoVersion,
		Log: os.Stderr,
	}
	if own.All {
		opts.Filters = append(opts.Filters, 50)
		opts.Releases = opts.Filters
	}
	return pipeline.Run(ctx, opts)
}

func runSoak(ctx context.Context, c variables.Values, duration time.Duration) error {
	bin, err := findEnvoy(ctx, c)
	if err != nil {
		return err
	}
	filters, err := catalog.Load(catalog.LoadOptions{Names: c.Filters})
	if err != nil {
		return err
	}
	subjects, err := marked.Read(filters)
	if err != nil {
		return err
	}
	defer subjects.Close() //nolint:errcheck // nobody asks them any more
	modules, err := build.Build(ctx, build.Options{
		Filters: filters, Compiler: c.Compiler, GoToolchain: c.GoToolchain, TinyGoVersion: c.TinyGoVersion, Out: os.Stderr,
	})
	if err != nil {
		return err
	}
	seen, err := soak.Run(ctx, soak.Options{Envoy: bin, Subjects: subjects, Modules: modules, Duration: duration, Log: os.Stderr})
	if seen != nil {
		fmt.Print(seen)
	}
	return err
}
