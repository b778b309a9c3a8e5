package hostcall

import (
	"errors"
	"strconv"
	"unsafe"
)

// Counter is a number in the proxy's statistics that only grows. All VMs that define the same
// name share it.
type Counter uint32

// typeCounter is MetricType COUNTER of proxy-wasm ABI 0.2.
// https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1#proxy_define_metric
const typeCounter = 0

// DefineCounter returns the counter with a name. If the name is new, it creates the counter
// with the value 0. Envoy shows it as wasmcustom.<name> in /stats, and as <name> in the
// Prometheus format. Call it when the plugin starts: it looks the name up.
func DefineCounter(name string) (Counter, error) {
	var id uint32
	if status := defineMetric(typeCounter, unsafe.StringData(name), len(name), &id); status != 0 {
		return 0, errors.New("define counter " + name + ": the proxy answered with status " + strconv.Itoa(int(status)))
	}
	return Counter(id), nil
}

// Add adds n to the counter. It cannot fail on a counter that [DefineCounter] returned.
func (c Counter) Add(n int64) {
	_ = incrementMetric(uint32(c), n)
}
