//go:build mage

// Slipway's targets. Each one reads its arguments and calls a package below
// deploy/ or test/, where the work is done and tested.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/config"
	"github.com/slipway-wasm/slipway/test/suite"
)

// Build compiles every filter to dist/<filter>.wasm with a record beside it.
func Build(ctx context.Context) error {
	return buildFilters(ctx)
}

// Tinygo downloads the pinned TinyGo release into your cache folder.
func Tinygo(ctx context.Context) error {
	_, err := tinygo.Install(ctx, tinygo.Options{Out: os.Stdout})
	return err
}

func buildFilters(ctx context.Context) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	filters, err := catalog.Load(catalog.LoadOptions{Names: c.Filters})
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	_, err = build.Build(ctx, build.Options{
		Filters:     filters,
		Compiler:    c.Compiler,
		GoToolchain: c.GoToolchain,
		Out:         os.Stdout,
	})
	return err
}

// Test runs every test: filters on their source and as built modules, and the pipeline, shuffled and with the race detector.
func Test(ctx context.Context) error {
	if err := buildFilters(ctx); err != nil {
		return err
	}
	return suite.Test(ctx, suiteOptions())
}

// E2e takes the filters from source to filtered requests in real Envoy.
func E2e(ctx context.Context) error {
	return suite.E2E(ctx, suiteOptions())
}

// Run starts Envoy on 127.0.0.1:8085 with a filter (-filter=NAME, default requestlog) and prints the curl to try.
func Run(ctx context.Context, filter *string) error {
	name := ""
	if filter != nil {
		name = *filter
	}
	return suite.Run(ctx, suiteOptions(), name)
}

// Lint runs the linters over every module.
func Lint(ctx context.Context) error {
	return suite.Lint(ctx, suiteOptions())
}

func suiteOptions() suite.Options {
	_, ci := os.LookupEnv("CI")
	return suite.Options{Dist: "dist", RefuseSkips: ci, Out: os.Stdout, Err: os.Stderr}
}
