package streamtest

import (
	_ "unsafe" // for go:linkname

	_ "github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm" // holds the functions below
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/internal/abi"
)

// The SDK's callbacks as a proxy calls them, pulled by name as in package gohost.

//go:linkname proxyOnMemoryAllocate github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnMemoryAllocate
func proxyOnMemoryAllocate(size uint) *byte

//go:linkname proxyOnVMStart github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnVMStart
func proxyOnVMStart(pluginContextID uint32, vmConfigurationSize int) types.OnVMStartStatus

//go:linkname proxyOnConfigure github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnConfigure
func proxyOnConfigure(pluginContextID uint32, pluginConfigurationSize int) types.OnPluginStartStatus

//go:linkname proxyOnTick github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnTick
func proxyOnTick(pluginContextID uint32)

//go:linkname proxyOnContextCreate github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnContextCreate
func proxyOnContextCreate(contextID, pluginContextID uint32)

//go:linkname proxyOnRequestHeaders github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnRequestHeaders
func proxyOnRequestHeaders(contextID uint32, numHeaders int, endOfStream bool) types.Action

//go:linkname proxyOnRequestBody github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnRequestBody
func proxyOnRequestBody(contextID uint32, bodySize int, endOfStream bool) types.Action

//go:linkname proxyOnResponseHeaders github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnResponseHeaders
func proxyOnResponseHeaders(contextID uint32, numHeaders int, endOfStream bool) types.Action

//go:linkname proxyOnResponseBody github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnResponseBody
func proxyOnResponseBody(contextID uint32, bodySize int, endOfStream bool) types.Action

//go:linkname proxyOnHttpCallResponse github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnHttpCallResponse
func proxyOnHttpCallResponse(pluginContextID, calloutID uint32, numHeaders, bodySize, numTrailers int)

//go:linkname proxyOnLog github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnLog
func proxyOnLog(contextID uint32)

//go:linkname proxyOnDone github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDone
func proxyOnDone(contextID uint32) bool

//go:linkname proxyOnDelete github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDelete
func proxyOnDelete(contextID uint32)

//go:linkname registerHost github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.RegisterMockWasmHost
func registerHost(h abi.Host) (release func())
