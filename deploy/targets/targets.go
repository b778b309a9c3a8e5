// Package targets is what "go tool mage" offers of Slipway's pipeline, for every
// repository that has filters: its magefile imports them.
//
//	import (
//		//mage:import
//		_ "github.com/slipway-wasm/slipway/deploy/targets"
//	)
//
// Each target reads its arguments and the environment, and calls a package below
// deploy/, which can be called without any of this. They work in the folder that
// holds filter/ and, for what they make, dist/.
//
//mage:multiline
package targets

import (
	"os"

	"github.com/slipway-wasm/slipway/deploy/config"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
)

// do calls work with the environment's configuration. Its error says what to do.
func do(json *bool, work func(config.Config, Output) error) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	return advice.Add(work(c, newOutput(json)))
}

// newOutput prints results to standard output, as JSON if the flag was given, and
// everything else to standard error.
func newOutput(json *bool) Output {
	return Output{Out: os.Stdout, Err: os.Stderr, JSON: given(json)}
}
