//go:build tinygo

package counter

// The host's functions, declared as the SDK does it
// (proxywasm/internal/abi_hostcalls.go).

//export proxy_define_metric
func defineMetric(metricType uint32, nameData *byte, nameSize int, returnID *uint32) uint32

//export proxy_increment_metric
func incrementMetric(id uint32, offset int64) uint32
