// Dev runs a filter in real Envoy while its author works on it. At every save it builds the
// filter, and Envoy loads it without a restart.
//
//	go run ./deploy/dev [flags] FILTER
//
// FILTER is a folder below filter/. It runs in front of an httpbin, with the example
// configuration of its filter.yaml, which is watched, too. After every save its scenarios are played
// in the same Envoy, and dev says what holds and what broke. If a build fails, or Envoy refuses
// the module or the configuration, Envoy keeps what it has. Ctrl-C stops everything.
//
// The environment variables are those of package deploy/variables, and NO_COLOR.
package main

import (
	"context"
	"errors"

	"github.com/fatih/color"

	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
)

func main() {
	foreground.Main("dev", "httpbin", func(ctx context.Context, o foreground.Options, args []string) error {
		if len(args) != 1 {
			return errors.New("give one filter, a folder below filter/")
		}
		// NoColor is also true if standard output is not a terminal.
		return dev(ctx, options{Options: o, Filter: args[0], Color: !color.NoColor})
	})
}
