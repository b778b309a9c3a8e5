//go:build wasip1 && !tinygo

package gohost

import (
	_ "unsafe" // for go:linkname

	_ "github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm" // holds the callbacks below
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/internal/abi"
)

// The SDK keeps its callbacks unexported in an internal package, because
// TinyGo's //export needs no more. Pulling them by name keeps the SDK unforked;
// a version that renames one fails at link time, not in a proxy.

//go:linkname proxyOnVMStart github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnVMStart
func proxyOnVMStart(pluginContextID uint32, vmConfigurationSize int) types.OnVMStartStatus

//go:linkname proxyOnConfigure github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnConfigure
func proxyOnConfigure(pluginContextID uint32, pluginConfigurationSize int) types.OnPluginStartStatus

//go:linkname proxyOnContextCreate github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnContextCreate
func proxyOnContextCreate(contextID, pluginContextID uint32)

//go:linkname proxyOnLog github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnLog
func proxyOnLog(contextID uint32)

//go:linkname proxyOnDone github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDone
func proxyOnDone(contextID uint32) bool

//go:linkname proxyOnDelete github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDelete
func proxyOnDelete(contextID uint32)

//go:linkname proxyOnTick github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnTick
func proxyOnTick(pluginContextID uint32)

//go:linkname proxyOnQueueReady github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnQueueReady
func proxyOnQueueReady(pluginContextID, queueID uint32)

//go:linkname proxyOnNewConnection github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnNewConnection
func proxyOnNewConnection(contextID uint32) types.Action

//go:linkname proxyOnDownstreamData github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDownstreamData
func proxyOnDownstreamData(contextID uint32, dataSize int, endOfStream bool) types.Action

//go:linkname proxyOnDownstreamConnectionClose github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDownstreamConnectionClose
func proxyOnDownstreamConnectionClose(contextID uint32, pType types.PeerType)

//go:linkname proxyOnUpstreamData github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnUpstreamData
func proxyOnUpstreamData(contextID uint32, dataSize int, endOfStream bool) types.Action

//go:linkname proxyOnUpstreamConnectionClose github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnUpstreamConnectionClose
func proxyOnUpstreamConnectionClose(contextID uint32, pType types.PeerType)

//go:linkname proxyOnRequestHeaders github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnRequestHeaders
func proxyOnRequestHeaders(contextID uint32, numHeaders int, endOfStream bool) types.Action

//go:linkname proxyOnRequestBody github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnRequestBody
func proxyOnRequestBody(contextID uint32, bodySize int, endOfStream bool) types.Action

//go:linkname proxyOnRequestTrailers github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnRequestTrailers
func proxyOnRequestTrailers(contextID uint32, numTrailers int) types.Action

//go:linkname proxyOnResponseHeaders github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnResponseHeaders
func proxyOnResponseHeaders(contextID uint32, numHeaders int, endOfStream bool) types.Action

//go:linkname proxyOnResponseBody github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnResponseBody
func proxyOnResponseBody(contextID uint32, bodySize int, endOfStream bool) types.Action

//go:linkname proxyOnResponseTrailers github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnResponseTrailers
func proxyOnResponseTrailers(contextID uint32, numTrailers int) types.Action

//go:linkname proxyOnHttpCallResponse github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnHttpCallResponse
func proxyOnHttpCallResponse(pluginContextID, calloutID uint32, numHeaders, bodySize, numTrailers int)

//go:linkname registerHost github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.RegisterMockWasmHost
func registerHost(h abi.Host) (release func())
