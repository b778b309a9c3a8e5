//go:build !tinygo

package hostcall

import (
	_ "unsafe" // for go:linkname

	_ "github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm" // holds the functions below
)

// Without TinyGo the SDK calls the host through an interface that its test
// emulator or package gohost fills in. These are its functions for that, pulled
// by name from its internal package.

//go:linkname getHeaderMapPairs github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.ProxyGetHeaderMapPairs
func getHeaderMapPairs(mapType Map, data **byte, size *int) uint32

//go:linkname getHeaderMapValue github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.ProxyGetHeaderMapValue
func getHeaderMapValue(mapType Map, key *byte, keySize int, data **byte, size *int) uint32

//go:linkname getProperty github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.ProxyGetProperty
func getProperty(path *byte, pathSize int, data **byte, size *int) uint32

//go:linkname defineMetric github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.ProxyDefineMetric
func defineMetric(metricType uint32, nameData *byte, nameSize int, returnID *uint32) uint32

//go:linkname incrementMetric github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.ProxyIncrementMetric
func incrementMetric(id uint32, offset int64) uint32
