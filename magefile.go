//go:build mage

// Slipway's targets. It imports those of every repository of filters, and adds those
// that concern Slipway itself.
//
//mage:multiline
package main

import (
	"context"
	"os"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/slipway-wasm/slipway/test/repository"
	//mage:import
	_ "github.com/slipway-wasm/slipway/deploy/targets"
)

// Bench measures what filters cost a request in real Envoy, and what it costs to build, push and release more and more of them.
//
// Filters stand side by side with Envoy's own header_mutation and Lua. Each compiler
// that is installed is measured, or the one that COMPILER names, with a filter that does
// nothing as the floor. The pipeline is measured with 1 and 10 new filters, the release
// with 1; BENCH_ALL=true adds 50, and releases of all. What is unchanged has to be
// neither built nor uploaded again. The tables are printed, and are in dist/bench.json
// and, with plots, in dist/bench.md.
//
// Example:
//
//	BENCH_WASM=../rust/headers.wasm go tool mage bench
func Bench(ctx context.Context) error {
	return repository.Bench(ctx, os.Stdout, os.Stderr)
}

// Soak runs all filters in real Envoy for a time, such as 2m, and fails when a VM crashes or memory grows.
//
// Requests with large headers and bodies, and aborted ones, come in while the filters'
// configurations are reloaded and the auth service fails in every way it can. 30s is
// the least that tells growth from warming up.
//
// Example:
//
//	go tool mage soak 1h
func Soak(ctx context.Context, duration time.Duration) error {
	return repository.Soak(ctx, duration, os.Stdout, os.Stderr)
}

// Mesh rolls two releases of the filters out with Istio's control plane, its agent and real Envoy, without docker.
//
// It needs Linux. The first run compiles Istio, which takes minutes.
//
// Example:
//
//	go tool mage mesh
func Mesh(ctx context.Context) error {
	return repository.Mesh(ctx, os.Stdout, os.Stderr)
}

// Lint runs the linters over every module.
//
// Example:
//
//	go tool mage lint
func Lint(ctx context.Context) error {
	return repository.Lint(ctx, ".", os.Stdout, os.Stderr)
}

// Kind is the smoke test in a whole cluster.
type Kind mg.Namespace

// Up starts a kind cluster with Istio and a registry; it needs docker.
//
// Example:
//
//	go tool mage kind:up
func (Kind) Up(ctx context.Context) error {
	return repository.KindUp(ctx, os.Stdout, os.Stderr)
}

// Smoke plays a roll-out in that cluster or, where it is not up, in kubectl's current one (or -context=NAME), and leaves nothing behind.
//
// With -published=VERSION, or a git tag, it also rolls out what is published of that in
// REGISTRY and STORAGE_PUBLIC_URL, by digest and by URL, without credentials.
//
// Example:
//
//	go tool mage kind:smoke -context=staging
//	REGISTRY=ghcr.io/acme/filters go tool mage kind:smoke -published=v1.4.0
func (Kind) Smoke(ctx context.Context, context, published *string) error {
	var where, what string
	if context != nil {
		where = *context
	}
	if published != nil {
		what = *published
	}
	return repository.KindSmoke(ctx, where, what, os.Stdout, os.Stderr)
}

// Down removes what kind:up started, in whatever state it is.
//
// Example:
//
//	go tool mage kind:down
func (Kind) Down(ctx context.Context) error {
	return repository.KindDown(ctx, os.Stdout, os.Stderr)
}
