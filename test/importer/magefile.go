//go:build mage

// The targets of a repository with filters of its own are Slipway's.
package main

import (
	//mage:import
	_ "github.com/slipway-wasm/slipway/deploy/targets"
)
