//go:build mage

// Slipway's targets. It imports those of every repository of filters, and adds those
// that concern Slipway itself.
//
//mage:multiline
package main

import (
	"context"
	"os"

	"github.com/slipway-wasm/slipway/test/repository"
	//mage:import
	_ "github.com/slipway-wasm/slipway/deploy/targets"
)

// Lint runs the linters over every module.
//
// Example:
//
//	go tool mage lint
func Lint(ctx context.Context) error {
	return repository.Lint(ctx, ".", os.Stdout, os.Stderr)
}
