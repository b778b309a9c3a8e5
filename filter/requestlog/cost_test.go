package main

import (
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/internal/streamtest"
)

// What a stream may cost.
var costs = []streamtest.Case{
	{Name: "all headers", Plugin: ``, Allocations: 3, Calls: 4},
	{Name: "some headers", Plugin: `{"headers": ["user-agent", "x-request-id", "authorization"]}`, Allocations: 3, Calls: 4},
	{Name: "no headers", VM: `{"direction": "in"}`, Plugin: `{"headers": "none"}`, Allocations: 3, Calls: 4},
}

func newVM() types.VMContext { return &vmContext{} }

func TestCost(t *testing.T) { streamtest.Test(t, newVM, costs) }

func BenchmarkStream(b *testing.B) { streamtest.Benchmark(b, newVM, costs) }
