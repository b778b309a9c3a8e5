// Package targets has the targets of "go tool mage" for every repository with filters.
// Its magefile imports them:
//
//	import (
//		//mage:import
//		_ "github.com/slipway-wasm/slipway/deploy/targets"
//	)
//
// Each target reads its arguments and the environment, and calls a package below
// deploy/. These packages can also be called directly. Targets run in the folder that
// contains filter/, and write to dist/ in it.
//
//mage:multiline
package targets

import (
	"os"

	"github.com/slipway-wasm/slipway/deploy/variables"
)

// do calls work with the environment's configuration, and adds advice to its error. Text in the
// error cannot steer the terminal.
func do(json *bool, work func(variables.Values, Output) error) error {
	c, err := variables.FromEnv()
	if err != nil {
		return err
	}
	return ended(work(c, newOutput(json)))
}

// newOutput prints results to standard output, as JSON if the flag was given, and
// everything else to standard error.
func newOutput(json *bool) Output {
	return Output{Out: os.Stdout, Err: os.Stderr, JSON: given(json)}
}
