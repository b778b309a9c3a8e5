//go:build mage

// Slipway's targets: those of every repository of filters, which are imported, and those
// that are about Slipway itself.
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
//
// Variables, with their defaults:
//
//	FILTERS               filters to work on, separated by commas (all)
//	COMPILER              compiler for the filters: go or tinygo (tinygo where it
//	                      is installed, else go)
//	FILTER_GOTOOLCHAIN    Go release to build the filters with, for example
//	                      go1.23.12 (the pinned release of each compiler)
//	ENVOY_PATH            Envoy binary to run, instead of finding or downloading
//	                      one (none)
//	ENVOY_VERSIONS        Envoy versions to run e2e with, separated by commas
//	                      (1.40.0)
//	BENCH_WASM            wasm files for bench to measure beside the filters,
//	                      separated by commas; one whose name begins with a
//	                      filter's is configured like it (none)
//	BENCH_ONLY            the one part to bench: filters or pipeline (both)
//	BENCH_ALL             bench with an upstream, further configurations and more
//	                      rounds, and the pipeline with 50 filters and all its
//	                      releases (false)
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
//
// Variables, with their defaults:
//
//	COMPILER              compiler for the filters: go or tinygo (tinygo where it
//	                      is installed, else go)
//	FILTER_GOTOOLCHAIN    Go release to build the filters with, for example
//	                      go1.23.12 (the pinned release of each compiler)
//	ENVOY_PATH            Envoy binary to run, instead of finding or downloading
//	                      one (none)
//	ENVOY_VERSIONS        Envoy versions to run e2e with, separated by commas
//	                      (1.40.0)
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
//
// Variables, with their defaults:
//
//	COMPILER              compiler for the filters: go or tinygo (tinygo where it
//	                      is installed, else go)
//	FILTER_GOTOOLCHAIN    Go release to build the filters with, for example
//	                      go1.23.12 (the pinned release of each compiler)
//	ENVOY_PATH            Envoy binary to run, instead of finding or downloading
//	                      one (none)
//	ENVOY_VERSIONS        Envoy versions to run e2e with, separated by commas
//	                      (1.40.0)
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
//
// Variables, with their defaults:
//
//	KIND_NODE_IMAGE       node image for kind:up (that of the linked release of
//	                      kind)
//	ISTIO_HUB             registry and path of Istio's images pilot and proxyv2
//	                      for kind:up (docker.io/istio)
//	ISTIO_TAG             tag of these images, and version of the charts in a Helm
//	                      repository (1.31.1)
//	ISTIO_CHARTS          Helm repository (https:// or oci://) or folder with
//	                      Istio's charts base and istiod
//	                      (https://blob.istio.io/istio-release/charts)
//	ISTIO_VALUES          Helm values files for the chart istiod, separated by
//	                      commas (none)
//	REGISTRY_IMAGE        image of the registry that kind:up and kind:smoke start,
//	                      listening on port 5000 (registry:2)
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
//
// Variables, with their defaults:
//
//	COMPILER              compiler for the filters: go or tinygo (tinygo where it
//	                      is installed, else go)
//	FILTER_GOTOOLCHAIN    Go release to build the filters with, for example
//	                      go1.23.12 (the pinned release of each compiler)
//	FILTERS               filters to work on, separated by commas (all)
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	STORAGE_PUBLIC_URL    where readers fetch what is in STORAGE_URL, without
//	                      credentials (STORAGE_URL, if that is https)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
//	REGISTRY_IMAGE        image of the registry that kind:up and kind:smoke start,
//	                      listening on port 5000 (registry:2)
//	HTTPBIN_IMAGE         image of the httpbin that render adds to try filters on,
//	                      with a tag, a digest or both
//	                      (mccutchen/go-httpbin:v2.26.0)
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
