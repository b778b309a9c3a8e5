package targets

import (
	"context"
	"os"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/gotest"
)

// Test runs every test: filters on their source and as built modules, and the pipeline, shuffled and with the race detector.
//
// If CI is set, a test that is skipped because something is missing is an error.
//
// Example:
//
//	go tool mage test
func Test(ctx context.Context) error {
	if err := Build(ctx); err != nil {
		return ended(err)
	}
	return ended(gotest.Test(ctx, testOptions()))
}

// E2e plays the filters' scenarios in real Envoy, or those whose FILTER/SCENARIO matches -run=PATTERN.
//
// It builds what is out of date. Envoy fetches the modules by URL and sha256, and also
// starts each filter with exactly the configuration that its rendered manifests carry.
// The scenarios are the files scenarios/*.yaml beside a filter's source. A repository's
// own tests in test/e2e, if there are any, run after them. The results are in
// dist/e2e.json and, for the pages of CI systems, in dist/e2e.xml (JUnit).
//
// Examples:
//
//	FILTERS=headers ENVOY_VERSIONS=1.36.4,1.40.0 go tool mage e2e
//	go tool mage e2e -run=headers/changes
func E2e(ctx context.Context, run *string) error {
	if err := Build(ctx); err != nil {
		return ended(err)
	}
	opts := testOptions()
	opts.Run = given(run)
	opts.Filters = catalog.Names(os.Getenv("FILTERS"))
	_, err := gotest.E2E(ctx, opts)
	return ended(err)
}

// testOptions are the options for tests of this repository. If CI is set, a skip is an
// error.
func testOptions() gotest.Options {
	_, ci := os.LookupEnv("CI")
	return gotest.Options{Dist: "dist", RefuseSkips: ci, Out: os.Stdout, Err: os.Stderr}
}
