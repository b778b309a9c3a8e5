// Package streamtest counts what one stream costs a filter: allocations and calls
// to the proxy.
//
// It exists because these two decide what a request costs in a proxy, and neither shows
// in a behaviour test. proxytest cannot count them, because it allocates with every
// call itself. This package's host does not. It drives the filter's Go code through the
// SDK's own callbacks, for the whole of a stream from its context's creation to its
// deletion.
//
// The ordinary Go compiler counts here. TinyGo, which sees fewer things that can stay
// on the stack, allocates at the same places and at a few more.
package streamtest

import (
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/internal/abi"
)

// Case is a stream through a filter with a configuration, and the most that it may
// cost.
type Case struct {
	// Name is a word or two.
	Name string
	// VM and Plugin are the configurations. Empty means none.
	VM, Plugin string
	// Allocations counts those of one stream, with the buffers that the proxy asks
	// the filter for.
	Allocations int
	// Calls counts those of one stream to the proxy.
	Calls int
}

// Request and response are those of a browser behind a load balancer.
var (
	request = [][2]string{
		{":authority", "shop.example.com"},
		{":path", "/api/v1/carts/7f3a/items?limit=20"},
		{":method", "POST"},
		{":scheme", "https"},
		{"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
		{"accept", "application/json"},
		{"accept-encoding", "gzip, deflate, br"},
		{"accept-language", "en-US,en;q=0.9"},
		{"content-type", "application/json"},
		{"authorization", "Bearer 0123456789abcdef0123456789abcdef"},
		{"cookie", "session=0123456789abcdef"},
		{"x-forwarded-for", "203.0.113.7"},
		{"x-forwarded-proto", "https"},
		{"x-request-id", "6f1f5b0e-3d0e-4c0f-9a55-1f1b0c6d7a11"},
		{"hello", "world"},
	}
	response = [][2]string{
		{":status", "200"},
		{"content-type", "application/json"},
		{"content-length", "512"},
		{"date", "Thu, 01 Jan 2026 00:00:00 GMT"},
		{"x-envoy-upstream-service-time", "3"},
		{"server", "envoy"},
	}
)

// Test runs each case on a VM context of its own and fails if a stream costs more
// than the case says.
func Test(t *testing.T, newVM func() types.VMContext, cases []Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			d := start(t, newVM(), c)
			if calls := d.callsOf(d.stream); calls > c.Calls {
				t.Errorf("a stream calls the proxy %d times, more than %d; save calls, or state the new number with the reason", calls, c.Calls)
			}
			if n := testing.AllocsPerRun(1000, d.stream); n > float64(c.Allocations) {
				t.Errorf("a stream allocates %v times, more than %d; save allocations, or state the new number with the reason", n, c.Allocations)
			}
		})
	}
}

// Benchmark times the same cases, for benchstat. Beside the time it reports
// allocations, and calls to the proxy as calls/op.
func Benchmark(b *testing.B, newVM func() types.VMContext, cases []Case) {
	b.Helper()
	for _, c := range cases {
		b.Run(c.Name, func(b *testing.B) {
			d := start(b, newVM(), c)
			calls := d.callsOf(d.stream)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				d.stream()
			}
			b.ReportMetric(float64(calls), "calls/op")
		})
	}
}

// The SDK's state is shared by the whole process: each driver has another plugin
// context, and no two streams have the same number.
var lastContext uint32

const callout = 1 // the id of the one call that may be under way

// driver is a started plugin.
type driver struct {
	host   *host
	plugin uint32
}

// start starts a plugin that has answers to the calls that it makes on a tick.
func start(tb testing.TB, vm types.VMContext, c Case) *driver {
	tb.Helper()
	h := &host{
		values: map[uint32][][2]string{
			mapRequestHeaders:      request,
			mapResponseHeaders:     response,
			mapCallResponseHeaders: {{":status", "200"}, {"authorization", "Bearer fedcba9876543210"}},
		},
		maps: map[uint32][]byte{},
		properties: map[string][]byte{
			"xds\x00listener_direction": {1, 0, 0, 0, 0, 0, 0, 0},
			"request\x00duration":       {0, 0x10, 0x20, 0, 0, 0, 0, 0},
		},
		buffers: map[uint32][]byte{
			bufferVMConfiguration:     []byte(c.VM),
			bufferPluginConfiguration: []byte(c.Plugin),
		},
		shared: map[string][]byte{},
	}
	for kind, headers := range h.values {
		h.maps[kind] = serialize(headers)
	}
	abi.Keep(h)
	tb.Cleanup(abi.RegisterHost(h))

	proxywasm.SetVMContext(vm)
	lastContext++
	d := &driver{host: h, plugin: lastContext}
	abi.OnContextCreate(d.plugin, 0)
	if abi.OnVMStart(d.plugin, len(c.VM)) != types.OnVMStartStatusOK ||
		abi.OnConfigure(d.plugin, len(c.Plugin)) != types.OnPluginStartStatusOK {
		tb.Fatal("the plugin does not start")
	}
	abi.OnTick(d.plugin)
	if len(h.shared) > 0 { // it has written its lease, so it waits for an answer
		abi.OnHttpCallResponse(d.plugin, callout, len(h.values[mapCallResponseHeaders]), 0, 0)
	}
	// The first stream allocates what later streams reuse.
	d.stream()
	return d
}

// stream is one request with a body, and its response.
func (d *driver) stream() {
	lastContext++
	id := lastContext
	abi.OnContextCreate(id, d.plugin)
	abi.OnRequestHeaders(id, len(request), false)
	abi.OnRequestBody(id, 128, true)
	abi.OnResponseHeaders(id, len(response), false)
	abi.OnResponseBody(id, 512, true)
	abi.OnDone(id)
	abi.OnLog(id)
	abi.OnDelete(id)
}

func (d *driver) callsOf(run func()) int {
	before := d.host.calls
	run()
	return d.host.calls - before
}
