package repository

import (
	"slices"

	"github.com/slipway-wasm/slipway/deploy/targets"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// What Slipway's own targets read, for "go tool mage vars".
func init() {
	targets.Declare(
		slices.Concat(variables.Describe[variables.Kind](), variables.Describe[variables.Bench]()),
		map[string][]string{
			"bench":      {"FILTERS", "compiler", "envoy", "bench"},
			"soak":       {"compiler", "envoy"},
			"mesh":       {"compiler", "ENVOY_PATH"},
			"lint":       {},
			"kind:up":    {"kind", "HTTPBIN_IMAGE"},
			"kind:smoke": {"FILTERS", "compiler", "registry", "storage", "HTTPBIN_IMAGE", "REGISTRY_IMAGE", "TRANSFER_TIMEOUT"},
			"kind:down":  {},
		},
	)
}
