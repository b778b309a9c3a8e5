package gotest

import "github.com/slipway-wasm/slipway/deploy/internal/children"

// Environment returns the part of an environment, such as os.Environ's, that tests get. Tests
// run the code of every dependency, so only listed variables are kept. The list has no
// destinations for publishing and no credentials for anything, whatever their names are.
func Environment(environment []string) []string { return children.Environment(environment) }
