package targets

import (
	"context"
	"os"

	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
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
		return advice.Add(err)
	}
	return advice.Add(gotest.Test(ctx, testOptions()))
}

// E2e takes the filters from source to filtered requests in real Envoy.
//
// It builds what is out of date, serves it, plays the scenarios of test/e2e through
// Envoy, and ends with a list of what was checked. In a repository without that folder,
// it loads each filter with its example and sends one request.
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

// testOptions are the options for tests of this repository. If CI is set, a skip is an
// error.
func testOptions() gotest.Options {
	_, ci := os.LookupEnv("CI")
	return gotest.Options{Dist: "dist", RefuseSkips: ci, Out: os.Stdout, Err: os.Stderr}
}
