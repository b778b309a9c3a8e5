//go:build mage

// Slipway's targets. Each one reads its arguments and calls a package below
// deploy/ or test/, where the work is done and tested.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/config"
	"github.com/slipway-wasm/slipway/deploy/target"
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

// Mesh rolls two releases of the filters out with Istio's control plane, its agent and real Envoy, without docker.
func Mesh(ctx context.Context) error {
	return suite.Mesh(ctx, suiteOptions())
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

// Push publishes the built filters in REGISTRY under a version, such as 1.4.0.
func Push(ctx context.Context, version string, json *bool) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return target.Push(ctx, c, version, output(json))
}

// Pull writes the module of a reference, such as headers:1.4.0, to a file.
func Pull(ctx context.Context, reference, file string, json *bool) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return target.Pull(ctx, c, reference, file, output(json))
}

// Verify reads a reference, or a version with its sums, signatures, provenances and SBOMs, back without credentials and says what is ok, missing or wrong.
func Verify(ctx context.Context, referenceOrVersion string, json *bool) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return target.Verify(ctx, c, referenceOrVersion, output(json))
}

// List prints the published versions with their digests, sizes and dates.
func List(ctx context.Context, json *bool) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return target.List(ctx, c, output(json))
}

// Sbom attaches a bill of materials to each filter that was pushed under a version.
func Sbom(ctx context.Context, version string, json *bool) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return target.SBOM(ctx, c, version, output(json))
}

// Attest attaches SBOMs to what was pushed under a version and signs it, with its provenance.
func Attest(ctx context.Context, version string, json *bool) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return target.Attest(ctx, c, version, output(json))
}

// Attach attaches a file to a reference; the kind is sbom, provenance, test-report or a media type.
func Attach(ctx context.Context, reference, kind, file string, json *bool) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return target.Attach(ctx, c, reference, kind, file, output(json))
}

// Referrers prints what is attached to a reference as a tree.
func Referrers(ctx context.Context, reference string, json *bool) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return target.Referrers(ctx, c, reference, output(json))
}

// Registry serves the embedded registry on 127.0.0.1:5000, or the given address, until Ctrl-C.
func Registry(ctx context.Context, address *string) error {
	if address == nil {
		address = new(string)
	}
	return target.ServeRegistry(ctx, *address, output(nil))
}

// Upload stores the built filters under a version, where proxies fetch them by URL and sha256.
func Upload(ctx context.Context, version string, json *bool) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return target.Upload(ctx, c, version, output(json))
}

// Render writes manifests for what was published under a version to dist/manifests, or prints what would change (-diff=FOLDER or -diff=cluster).
func Render(ctx context.Context, version string, diff *string) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	if diff == nil {
		diff = new(string)
	}
	return target.Render(ctx, c, version, *diff, output(nil))
}

// Release releases a version, or that of a git tag such as v1.4.0 or headers/v1.4.0, and rehearses it where neither REGISTRY nor STORAGE_URL is set (-dryRun prints what would happen, -until=STEP stops after a step).
func Release(ctx context.Context, versionOrTag string, dryRun *bool, until *string) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	opts := target.ReleaseOptions{DryRun: dryRun != nil && *dryRun, Suite: suiteOptions()}
	if until != nil {
		opts.Until = *until
	}
	return target.Release(ctx, c, versionOrTag, opts, output(nil))
}

// Kind is the smoke test in a whole cluster.
type Kind mg.Namespace

// Up starts a kind cluster with Istio and a registry; it needs docker.
func (Kind) Up(ctx context.Context) error {
	return target.KindUp(ctx, output(nil))
}

// Smoke plays a roll-out in that cluster or, where it is not up, in kubectl's current one (or -context=NAME), and leaves nothing behind.
func (Kind) Smoke(ctx context.Context, context *string) error {
	name := ""
	if context != nil {
		name = *context
	}
	return target.KindSmoke(ctx, name, output(nil))
}

// Down removes what kind:up started, in whatever state it is.
func (Kind) Down(ctx context.Context) error {
	return target.KindDown(ctx, output(nil))
}

// output prints results to standard output, as JSON if the flag was given, and
// everything else to standard error.
func output(json *bool) target.Output {
	return target.Output{Out: os.Stdout, Err: os.Stderr, JSON: json != nil && *json}
}
