package main

import (
	"testing"
	"time"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/internal/streamtest"
)

// What a stream may cost.
var costs = []streamtest.Case{
	{Name: "on responses", Plugin: ``, Allocations: 0, Calls: 4},
	{Name: "on both", Plugin: `{"inject": {"on": "both"}}`, Allocations: 0, Calls: 6},
	{Name: "on requests only", Plugin: `{"inject": {"on": "request"}, "static": {}}`, Allocations: 0, Calls: 2},
}

func newVM() types.VMContext { return &vmContext{clock: time.Now} }

func TestCost(t *testing.T) { streamtest.Test(t, newVM, costs) }

func BenchmarkStream(b *testing.B) { streamtest.Benchmark(b, newVM, costs) }
