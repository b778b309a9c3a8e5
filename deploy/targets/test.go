package targets

import (
	"context"
	"os"

	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
)

// Test runs every test: filters on their source and as built modules, and the pipeline, shuffled and with the race detector.
//
// Where CI is set, a test that is skipped for what is missing is an error.
//
// Example:
//
//	go tool mage test
func Test(ctx context.Context) error {
	if err := Build(ctx); err != nil {
		return advice.Add(err)
	}
	return advice.Add(gotest.Test(ctx, testOptions()))
}

// E2e takes the filters from source to filtered requests in real Envoy.
//
// It builds what is not up to date, serves it, plays the scenarios of test/e2e through
// Envoy, and ends with a list of what was checked. A repository without that folder has
// each filter loaded with its example, and one request answered.
//
// Example:
//
//	FILTERS=headers ENVOY_VERSIONS=1.36.4,1.40.0 go tool mage e2e
func E2e(ctx context.Context) error {
	if err := Build(ctx); err != nil {
		return advice.Add(err)
	}
	opts := testOptions()
	opts.Env = append(gotest.Environment(os.Environ()), "FILTERS="+os.Getenv("FILTERS"))
	_, err := gotest.E2E(ctx, opts)
	return advice.Add(err)
}

// testOptions says how tests run: in this repository, with a skip as an error where CI
// is set.
func testOptions() gotest.Options {
	_, ci := os.LookupEnv("CI")
	return gotest.Options{Dist: "dist", RefuseSkips: ci, Out: os.Stdout, Err: os.Stderr}
}
