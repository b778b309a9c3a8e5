package inspect

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// ErrRefusesShipped is in the chain of every error that Shipped returns for a module that starts
// and refuses the configuration.
var ErrRefusesShipped = errors.New("the filter does not start with the configuration that its manifests carry")

// Shipped starts a filter's module with exactly the configuration that its rendered manifests
// carry: section apply of its filter.yaml. The error says why the module refuses it. A filter
// without that section is not started, nor one that reads environment variables, which are a
// proxy's.
func Shipped(ctx context.Context, f catalog.Filter, wasm []byte) error {
	if f.Metadata.Apply == nil || len(f.Metadata.Apply.VMConfig.Env) > 0 {
		return nil
	}
	plugin, err := scenario.Shipped(f)
	if err != nil {
		return err
	}
	report, err := Check(ctx, wasm, StartOptions{Configuration: &plugin.Configuration})
	if err == nil && report.started != nil && report.started.Refuses != "" {
		err = errors.New(report.started.Refuses)
	}
	if err != nil {
		return fmt.Errorf("%s: apply.pluginConfig: %w: %w", filepath.Join(f.Dir, catalog.MetadataFile), ErrRefusesShipped, err)
	}
	return nil
}
