// Run runs a filter in real Envoy, in front of a small backend, for a person to try:
//
//	go run ./deploy/run [flags] [FILTER]
//
// FILTER is a folder below filter/. The default is requestlog. The filter gets the example
// configuration of its filter.yaml. Ctrl-C stops everything.
//
// The environment variables are those of
// package deploy/variables.
package main

import (
	"context"
	"fmt"

	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
)

func main() {
	foreground.Main("run", "the backend", func(ctx context.Context, o foreground.Options, args []string) error {
		switch len(args) {
		case 0:
			args = []string{"requestlog"}
		case 1:
		default:
			return fmt.Errorf("give one filter, not %q", args)
		}
		return run(ctx, options{Options: o, Filter: args[0]})
	})
}
