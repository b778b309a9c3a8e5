package main

import (
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/internal/streamtest"
)

// What a stream may cost.
var costs = []streamtest.Case{
	{Name: "example", Plugin: `{"request": {"set": {"x-my-custom-header": "hello world"}}}`, Allocations: 4, Calls: 8},
	{Name: "without debug log", Plugin: `{"request": {"set": {"x-my-custom-header": "hello world"}}, "debug_log": false}`, Allocations: 1, Calls: 3},
	{Name: "many changes", Plugin: `{
		"request":  {"remove": ["a", "b", "c"], "set": {"d": "1", "e": ["1", "2"]}, "add": {"f": "1"}},
		"response": {"remove": ["a", "b", "c"], "set": {"d": "1", "e": ["1", "2"]}, "add": {"f": "1"}}, "debug_log": false}`, Allocations: 1, Calls: 16},
}

func newVM() types.VMContext { return &vmContext{} }

func TestCost(t *testing.T) { streamtest.Test(t, newVM, costs) }

func BenchmarkStream(b *testing.B) { streamtest.Benchmark(b, newVM, costs) }
