// Package hostcall reads headers and properties without allocating, and counts in the proxy's
// statistics.
//
// It exists because the SDK's functions for that allocate with each call: a new slice
// for all headers, the path of a property put together anew, and two words for the
// host's result, which escape. On the path of every request that is most of what a filter
// allocates. What is left is the buffer that the host asks for.
//
// proxywasm.DefineCounterMetric and MetricCounter.Increment build the message of a panic with
// package fmt. That makes a TinyGo module 56 KB larger, which is more than a small filter weighs.
// And a panic would trap the VM for the sake of a number. This package makes the same two host
// calls and returns errors.
package hostcall

import (
	"encoding/binary"
	"unsafe"
)

// Map is a map of headers, by the ABI's number.
// https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1#proxy_header_map_type_t
type Map uint32

// The maps of a stream.
const (
	RequestHeaders  Map = 0
	ResponseHeaders Map = 2
)

// data and size are where the host writes a result. They are global because local ones
// would be allocated anew for each call. A filter is never called by two threads.
var (
	data *byte
	size int
)

// take returns the host's answer, valid until the callback returns.
func take(status uint32) (answer []byte, ok bool) {
	// The SDK makes its slices in the same way. An empty answer has no address.
	answer = unsafe.Slice(data, size)
	data, size = nil, 0
	return answer, status == 0
}

// Headers appends all headers of a map to list and returns it, unchanged if there are
// none. Names and values share the host's memory: do not keep them after the callback.
func Headers(m Map, list [][2]string) [][2]string {
	b, ok := take(getHeaderMapPairs(m, &data, &size))
	if !ok || len(b) < 4 {
		return list
	}
	// The number of headers, the sizes of all names and values, then the names and
	// values, each followed by NUL.
	sizes, rest := b[4:], b[4+8*binary.LittleEndian.Uint32(b):]
	next := func() string {
		n := binary.LittleEndian.Uint32(sizes)
		s := unsafe.String(unsafe.SliceData(rest), n)
		sizes, rest = sizes[4:], rest[n+1:]
		return s
	}
	for range binary.LittleEndian.Uint32(b) {
		name := next()
		list = append(list, [2]string{name, next()})
	}
	return list
}

// Header returns the first value of a header, and whether the header is there. In ABI
// 0.2 the host answers "not found" for an absent header, and success for an empty one.
// Do not keep the value after the callback.
func Header(m Map, name string) (value string, ok bool) {
	b, ok := take(getHeaderMapValue(m, unsafe.StringData(name), len(name), &data, &size))
	return unsafe.String(unsafe.SliceData(b), len(b)), ok
}

// Property returns the value of a property, and whether there is one. The parts of path
// are separated by NUL. Do not keep the value after the callback.
func Property(path string) (value []byte, ok bool) {
	return take(getProperty(unsafe.StringData(path), len(path), &data, &size))
}
