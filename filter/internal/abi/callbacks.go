//nolint:revive // the callbacks have the names of the ABI, and its meanings
package abi

import (
	_ "unsafe" // for go:linkname

	_ "github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm" // holds the callbacks below
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

// The SDK keeps its callbacks unexported in an internal package, because TinyGo's
// //export needs no more. Pulling them by name keeps the SDK unforked. A version that
// renames one fails at link time, not in a proxy.

//go:linkname OnVMStart github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnVMStart
func OnVMStart(pluginContextID uint32, vmConfigurationSize int) types.OnVMStartStatus

//go:linkname OnConfigure github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnConfigure
func OnConfigure(pluginContextID uint32, pluginConfigurationSize int) types.OnPluginStartStatus

//go:linkname OnContextCreate github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnContextCreate
func OnContextCreate(contextID, pluginContextID uint32)

//go:linkname OnLog github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnLog
func OnLog(contextID uint32)

//go:linkname OnDone github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDone
func OnDone(contextID uint32) bool

//go:linkname OnDelete github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDelete
func OnDelete(contextID uint32)

//go:linkname OnTick github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnTick
func OnTick(pluginContextID uint32)

//go:linkname OnQueueReady github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnQueueReady
func OnQueueReady(pluginContextID, queueID uint32)

//go:linkname OnNewConnection github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnNewConnection
func OnNewConnection(contextID uint32) types.Action

//go:linkname OnDownstreamData github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDownstreamData
func OnDownstreamData(contextID uint32, dataSize int, endOfStream bool) types.Action

//go:linkname OnDownstreamConnectionClose github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnDownstreamConnectionClose
func OnDownstreamConnectionClose(contextID uint32, pType types.PeerType)

//go:linkname OnUpstreamData github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnUpstreamData
func OnUpstreamData(contextID uint32, dataSize int, endOfStream bool) types.Action

//go:linkname OnUpstreamConnectionClose github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnUpstreamConnectionClose
func OnUpstreamConnectionClose(contextID uint32, pType types.PeerType)

//go:linkname OnRequestHeaders github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnRequestHeaders
func OnRequestHeaders(contextID uint32, numHeaders int, endOfStream bool) types.Action

//go:linkname OnRequestBody github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnRequestBody
func OnRequestBody(contextID uint32, bodySize int, endOfStream bool) types.Action

//go:linkname OnRequestTrailers github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnRequestTrailers
func OnRequestTrailers(contextID uint32, numTrailers int) types.Action

//go:linkname OnResponseHeaders github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnResponseHeaders
func OnResponseHeaders(contextID uint32, numHeaders int, endOfStream bool) types.Action

//go:linkname OnResponseBody github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnResponseBody
func OnResponseBody(contextID uint32, bodySize int, endOfStream bool) types.Action

//go:linkname OnResponseTrailers github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnResponseTrailers
func OnResponseTrailers(contextID uint32, numTrailers int) types.Action

//go:linkname OnHttpCallResponse github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnHttpCallResponse
func OnHttpCallResponse(pluginContextID, calloutID uint32, numHeaders, bodySize, numTrailers int)

//go:linkname RegisterHost github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.RegisterMockWasmHost
func RegisterHost(h Host) (release func())

//go:linkname OnMemoryAllocate github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal.proxyOnMemoryAllocate
func OnMemoryAllocate(size uint) *byte
