//go:build mage

// The targets of a repository with filters of its own: Slipway's, and a release.
package main

import (
	"context"

	//mage:import
	"github.com/slipway-wasm/slipway/deploy/targets"
)

// Release builds the filters, publishes them under a version, and renders their manifests.
func Release(ctx context.Context, version string) error {
	for _, step := range []func() error{
		func() error { return targets.Build(ctx) },
		func() error { return targets.Push(ctx, version, nil) },
		func() error { return targets.Upload(ctx, version, nil) },
		func() error { return targets.Render(ctx, version, nil) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
