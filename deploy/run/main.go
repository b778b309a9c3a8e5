// Run runs a filter in real Envoy, in front of a small backend, for a person to try:
//
//	go run ./deploy/run [flags] [FILTER]
//
// FILTER is a folder below filter/. The default is the only one. The filter gets the example
// configuration of its filter.yaml. Services that its scenarios script are there, if they name
// their clusters. Ctrl-C stops everything.
//
// The environment variables are those of
// package deploy/variables.
package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
)

func main() {
	foreground.Main("run", "the backend", func(ctx context.Context, o foreground.Options, args []string) error {
		if len(args) == 0 {
			filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(o.Root, "filter")})
			if err != nil {
				return err
			}
			args = catalog.NamesOf(filters)
		}
		if len(args) > 1 {
			return fmt.Errorf("give one filter of %s", strings.Join(args, ", "))
		}
		return run(ctx, options{Options: o, Filter: args[0]})
	})
}
