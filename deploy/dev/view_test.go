package main

import (
	"bytes"
	"strings"
	"testing"
)

const trace = "[2026-01-02 10:00:00.001][7][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] "

// lines were written by a real Envoy: two threads, a call into the module while another is
// under way, and one context that acts for another.
var lines = []string{
	"[2026-01-02 10:00:00.000][1][warning][main] [source/server/server.cc:1059] There is no configured limit",
	trace + "[host->vm] proxy_on_request_headers(3, 8, 1)",
	trace + "[vm->host] env.proxy_get_header_map_pairs(0, 2097264, 2154616)",
	trace + "[host->vm] proxy_on_memory_allocate(253)",
	"[2026-01-02 10:00:00.001][7][info][wasm] [source/extensions/common/wasm/context.cc:1148] wasm log headers headers: while it allocates",
	trace + "[host<-vm] proxy_on_memory_allocate return: 2490624",
	trace + "[vm<-host] env.proxy_get_header_map_pairs return: 0",
	"[2026-01-02 10:00:00.002][7][info][wasm] [source/extensions/common/wasm/context.cc:1148] wasm log headers headers: a: b",
	"[2026-01-02 10:00:00.003][8][error][wasm] [source/extensions/common/wasm/context.cc:1148] wasm log headers: other thread",
	trace + "[host<-vm] proxy_on_request_headers return: 0",
	trace + "[host->vm] proxy_on_tick(1)",
	trace + "[vm->host] env.proxy_set_effective_context(5)",
	"[2026-01-02 10:00:00.004][7][critical][wasm] [source/extensions/common/wasm/context.cc:1148] wasm log headers headers: for another",
	trace + "[host<-vm] proxy_on_tick return: void",
	"[2026-01-02 10:00:00.005][7][debug][wasm] [source/extensions/common/wasm/context.cc:1148] wasm log headers headers: nobody's turn",
	"[2026-01-02 10:00:00.006][1][info][main] [source/server/server.cc:1] starting",
}

func TestView(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := newView(&out, false)
	for _, line := range lines {
		v.envoy(line)
	}
	v.serve()
	v.envoy("[2026-01-02 10:00:00.007][1][warning][config] [source/x.cc:81] rejected")
	v.envoy("[2026-01-02 10:00:00.008][1][warning][main] [source/server/server.cc:1] caught SIGINT")
	v.envoy("Caught Segmentation fault")
	want := `10:00:00.001 info     #3    while it allocates
10:00:00.002 info     #3    a: b
10:00:00.003 error          other thread
10:00:00.004 critical #5    for another
10:00:00.005 debug          nobody's turn
10:00:00.007 warning  envoy rejected
Caught Segmentation fault
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestViewColors(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := newView(&out, true)
	for _, line := range lines {
		v.envoy(line)
	}
	for _, want := range []string{"\x1b[32minfo    \x1b[0m ", "\x1b[31mcritical\x1b[0m ", "\x1b[36m#3   \x1b[0m "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
}
