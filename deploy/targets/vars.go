package targets

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// Vars prints what the environment says to all targets or to one (-target=NAME): each variable, what it is for, its default, and whether it is set, never its value.
//
// Example:
//
//	go tool mage vars -target=push
func Vars(target *string) error {
	return ended(printVariables(os.Stdout, given(target)))
}

// reads has the names of the variables, and groups of them, that each target reads.
var reads = map[string][]string{
	"attach":           {"registry", "TRANSFER_TIMEOUT"},
	"attest":           {"FILTERS", "registry", "storage", "signing", "verification", "TRANSFER_TIMEOUT"},
	"bench":            {"FILTERS", "compiler", "envoy", "bench"},
	"build":            {"FILTERS", "compiler"},
	"compare":          {"FILTERS"},
	"dev":              {"compiler", "envoy"},
	"doctor":           {"compiler", "envoy"},
	"e2e":              {"FILTERS", "compiler", "envoy"},
	"github:draft":     {},
	"github:preflight": {"FILTERS", "compiler", "ENVOY_VERSIONS", "registry", "SHAPES", "MOVING_TAGS", "storage", "signing", "verification", "HTTPBIN_IMAGE", "TRANSFER_TIMEOUT"},
	"github:publish":   {},
	"github:tag":       {},
	"inspect":          {"registry", "TRANSFER_TIMEOUT"},
	"kind:down":        {},
	"kind:smoke":       {"FILTERS", "compiler", "registry", "storage", "HTTPBIN_IMAGE", "REGISTRY_IMAGE", "TRANSFER_TIMEOUT"},
	"kind:up":          {"kind", "HTTPBIN_IMAGE"},
	"list":             {"FILTERS", "registry", "TRANSFER_TIMEOUT"},
	"mesh":             {"FILTERS", "compiler", "ENVOY_PATH"},
	"new":              {},
	"pull":             {"registry", "TRANSFER_TIMEOUT"},
	"push":             {"FILTERS", "registry", "SHAPES", "MOVING_TAGS", "TRANSFER_TIMEOUT"},
	"referrers":        {"registry", "TRANSFER_TIMEOUT"},
	"registry":         {},
	"release":          {"FILTERS", "compiler", "envoy", "registry", "SHAPES", "MOVING_TAGS", "storage", "signing", "verification", "HTTPBIN_IMAGE", "TRANSFER_TIMEOUT"},
	"render":           {"FILTERS", "registry", "storage", "HTTPBIN_IMAGE", "TRANSFER_TIMEOUT"},
	"run":              {"compiler", "envoy"},
	"sbom":             {"FILTERS", "registry", "TRANSFER_TIMEOUT"},
	"shards":           {"FILTERS"},
	"soak":             {"FILTERS", "compiler", "envoy"},
	"storage":          {},
	"test":             {"FILTERS", "compiler", "ENVOY_PATH"},
	"tinygo":           {},
	"upload":           {"FILTERS", "registry", "storage", "TRANSFER_TIMEOUT"},
	"vars":             {},
	"verify":           {"FILTERS", "registry", "storage", "verification", "VERIFY_TESTED", "MOVING_TAGS", "TRANSFER_TIMEOUT"},
}

// known are the variables of package variables.
var known = slices.Concat(variables.Describe[variables.Values](), variables.Describe[variables.Kind](), variables.Describe[variables.Bench]())

// variablesOf lists the variables that a target reads, or with an empty name all of
// them.
func variablesOf(target string) ([]variables.Variable, error) {
	if target == "" {
		return known, nil
	}
	names, ok := reads[strings.ToLower(target)]
	if !ok {
		return nil, fmt.Errorf("vars: there is no target %s; targets are %s", target, strings.Join(slices.Sorted(maps.Keys(reads)), ", "))
	}
	var list []variables.Variable
	for _, v := range known {
		if slices.Contains(names, v.Name) || slices.Contains(names, v.Group) {
			list = append(list, v)
		}
	}
	return list, nil
}

// printVariables prints the variables that a target reads, or with an empty name all of
// them, group by group. It never prints a value, which may be a secret, but only
// whether there is one.
func printVariables(out io.Writer, target string) error {
	list, err := variablesOf(target)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		printable.Fprintf(out, "%s reads no variable.\n", target)
	}
	for i, v := range list {
		if i == 0 || v.Group != list[i-1].Group {
			printable.Fprintf(out, "%s:\n", v.Group)
		}
		state := "not set"
		if os.Getenv(v.Name) != "" {
			state = "set"
		}
		printable.Fprintf(out, "  %-20s  %s\n      %s\n      default: %s\n", v.Name, state, v.Doc, v.Default)
	}
	return nil
}
