//go:build tinygo

package hostcall

// The host's functions, declared as the SDK does it
// (proxywasm/internal/abi_hostcalls.go).

//export proxy_get_header_map_pairs
func getHeaderMapPairs(mapType Map, data **byte, size *int) uint32

//export proxy_get_header_map_value
func getHeaderMapValue(mapType Map, key *byte, keySize int, data **byte, size *int) uint32

//export proxy_get_property
func getProperty(path *byte, pathSize int, data **byte, size *int) uint32

//export proxy_define_metric
func defineMetric(metricType uint32, nameData *byte, nameSize int, returnID *uint32) uint32

//export proxy_increment_metric
func incrementMetric(id uint32, offset int64) uint32
