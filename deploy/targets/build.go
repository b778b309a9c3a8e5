package targets

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// Build compiles every filter to dist/<filter>.wasm with a record beside it.
//
// It skips a filter if its sources and compiler are those in the record. It refuses a
// module that Envoy would not load, and names the import or export at fault.
//
// Example:
//
//	FILTERS=headers COMPILER=go go tool mage build
func Build(ctx context.Context) error {
	return do(nil, func(c variables.Values, out Output) error {
		return buildFilters(ctx, c, out)
	})
}

// Tinygo downloads the pinned TinyGo release into your cache folder.
//
// It compares the download with a pinned sha256, and needs no root. From then on
// filters are built with it, unless COMPILER says go.
//
// Example:
//
//	go tool mage tinygo build
func Tinygo(ctx context.Context) error {
	_, err := tinygo.Install(ctx, tinygo.Options{Out: os.Stdout})
	return ended(err)
}

// buildFilters builds the configured filters: see build.Build. If they may need TinyGo and
// the pinned one is not installed, it says how to get that.
func buildFilters(ctx context.Context, c variables.Values, out Output) error {
	filters, err := catalog.Load(catalog.LoadOptions{Names: c.Filters})
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	_, err = build.Build(ctx, build.Options{
		Filters:       filters,
		Compiler:      c.Compiler,
		GoToolchain:   c.GoToolchain,
		TinyGoVersion: c.TinyGoVersion,
		Out:           out.Out,
	})
	if _, missing := tinygo.Installed(); c.Compiler != build.Go && errors.Is(missing, tinygo.ErrNotInstalled) {
		printable.Fprintln(out.Out, `"go tool mage tinygo" gets the pinned TinyGo.`)
	}
	return err
}
