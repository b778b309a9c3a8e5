//go:build mage

// Slipway's targets. Each one reads its arguments and calls a package below
// deploy/ or test/, where the work is done and tested. Those that another
// repository wants too are in deploy/targets.
//
//mage:multiline
package main

import (
	"context"
	"os"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/slipway-wasm/slipway/deploy/config"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/target"
	"github.com/slipway-wasm/slipway/test/repository"

	//mage:import
	"github.com/slipway-wasm/slipway/deploy/targets"
)

// Test runs every test: filters on their source and as built modules, and the pipeline, shuffled and with the race detector.
//
// Where CI is set, a test that is skipped for what is missing is an error.
//
// Example:
//
//	go tool mage test
//
// Variables, with their defaults:
//
//	COMPILER              compiler for the filters: go or tinygo (tinygo where it
//	                      is installed, else go)
//	FILTER_GOTOOLCHAIN    Go release to build the filters with, for example
//	                      go1.23.12 (the pinned release of each compiler)
//	ENVOY_PATH            Envoy binary to run, instead of finding or downloading
//	                      one (none)
func Test(ctx context.Context) error {
	if err := targets.Build(ctx); err != nil {
		return err
	}
	return gotest.Test(ctx, suiteOptions())
}

// E2e takes the filters from source to filtered requests in real Envoy.
//
// It builds what is not up to date, serves it, plays scenarios through Envoy, and ends
// with a list of what was checked.
//
// Example:
//
//	FILTERS=headers ENVOY_VERSIONS=1.36.4,1.40.0 go tool mage e2e
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
func E2e(ctx context.Context) error {
	return gotest.E2E(ctx, suiteOptions())
}

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
	return gotest.Bench(ctx, suiteOptions())
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
	return gotest.Soak(ctx, suiteOptions(), duration)
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
	return gotest.Mesh(ctx, suiteOptions())
}

// Lint runs the linters over every module.
//
// Example:
//
//	go tool mage lint
func Lint(ctx context.Context) error {
	return repository.Lint(ctx, ".", os.Stdout, os.Stderr)
}

// Release releases a version, or that of a git tag such as v1.4.0 or headers/v1.4.0, and rehearses it where neither REGISTRY nor STORAGE_URL is set (-dryRun prints what would happen, -until=STEP stops after a step).
//
// It builds, tests, plays, pushes, uploads, attests, renders and verifies, in this
// order; run again after an interruption, it goes on where it was.
//
// Examples:
//
//	go tool mage release 1.4.0
//	REGISTRY=ghcr.io/acme/filters SIGN_KEY=cosign.key go tool mage release headers/v1.4.0
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
//	SHAPES                manifest shapes to push, separated by commas: artifact,
//	                      compat, cncf (artifact)
//	REGISTRY              registry and path for the filters, for example
//	                      ghcr.io/acme/filters, or oci-layout:DIR (an embedded
//	                      registry in dist/registry)
//	REGISTRY_USERNAME     user name for the registry (the docker credential
//	                      store's)
//	REGISTRY_PASSWORD     password or token for the registry (the docker
//	                      credential store's)
//	REGISTRY_PLAIN_HTTP   talk to the registry without TLS (false, but true for a
//	                      loopback address)
//	STORAGE_URL           storage for the filters: gs://, s3://, azblob:// with a
//	                      bucket and a prefix, file:///FOLDER, or https:// for PUT
//	                      (an embedded storage in dist/storage)
//	STORAGE_PUBLIC_URL    where readers fetch what is in STORAGE_URL, without
//	                      credentials (STORAGE_URL, if that is https)
//	STORAGE_USERNAME      user name for an https STORAGE_URL (none)
//	STORAGE_PASSWORD      password for an https STORAGE_URL (none)
//	STORAGE_TOKEN         bearer token for an https STORAGE_URL, in place of name
//	                      and password (none)
//	SIGN_KEY              private key to sign with: a file of cosign
//	                      generate-key-pair, or a key in awskms://, gcpkms://,
//	                      azurekms:// or hashivault:// (none: keyless in GitHub
//	                      Actions, a key that nobody keeps in the embedded
//	                      registry)
//	COSIGN_PASSWORD       password of the file SIGN_KEY (none)
//	FULCIO_URL            Fulcio of a private sigstore, for keyless signatures
//	                      (the public one)
//	REKOR_URL             transparency log of a private sigstore; with SIGN_KEY,
//	                      the log to write to (the public one; with SIGN_KEY,
//	                      none)
//	TIMESTAMP_URL         timestamp authority of a private sigstore; with
//	                      SIGN_KEY, the authority to ask (the public one; with
//	                      SIGN_KEY, none)
//	TRUSTED_ROOT          file with the trusted root of a private sigstore, as
//	                      cosign trusted-root create writes it (the public one, by
//	                      TUF)
//	VERIFY_KEY            public key, a file or as SIGN_KEY, whose signatures
//	                      verify accepts (none; in the embedded registry that of
//	                      the rehearsal)
//	VERIFY_IDENTITY       identity whose keyless signatures verify accepts, to the
//	                      letter, such as
//	                      https://github.com/acme/filters/.github/workflows/release.yml@refs/tags/v1.4.0
//	                      (none)
//	VERIFY_ISSUER         who vouches for VERIFY_IDENTITY, such as
//	                      https://token.actions.githubusercontent.com (none)
//	VERIFY_REPOSITORY     repository whose workflow has to have signed, where
//	                      others call the same reusable workflow, such as
//	                      https://github.com/acme/filters (any)
//	HTTPBIN_IMAGE         image of the httpbin that render adds to try filters on,
//	                      with a tag, a digest or both
//	                      (mccutchen/go-httpbin:v2.26.0)
//	TRANSFER_TIMEOUT      how long a target may take to publish or read, with all
//	                      retries, for example 10m (30m)
func Release(ctx context.Context, versionOrTag string, dryRun *bool, until *string) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	opts := target.ReleaseOptions{DryRun: target.Given(dryRun), Until: target.Given(until), Suite: suiteOptions()}
	return target.Release(ctx, c, versionOrTag, opts, output())
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
	return target.KindUp(ctx, output())
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
	return target.KindSmoke(ctx, target.Given(context), target.Given(published), output())
}

// Down removes what kind:up started, in whatever state it is.
//
// Example:
//
//	go tool mage kind:down
func (Kind) Down(ctx context.Context) error {
	return target.KindDown(ctx, output())
}

func suiteOptions() gotest.Options {
	_, ci := os.LookupEnv("CI")
	return gotest.Options{Dist: "dist", RefuseSkips: ci, Out: os.Stdout, Err: os.Stderr}
}

func output() target.Output {
	return target.Output{Out: os.Stdout, Err: os.Stderr}
}
