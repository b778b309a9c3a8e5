//go:build wasip1 && !tinygo

package gohost

import (
	"unsafe"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/internal/abi"
)

// Every callback is wrapped in enter and leave: what the host allocates during
// it stays reachable until it returns (see proxyOnMemoryAllocate).

var (
	depth  int
	pinned [][]byte
)

func enter() { depth++ }

// leave drops the buffers once the outermost callback is over. Callbacks nest:
// a local reply, for one, makes the host call back before the call returns.
func leave() {
	depth--
	if depth == 0 {
		clear(pinned)
		pinned = pinned[:0]
	}
}

// proxyOnMemoryAllocate gives the host a buffer for what it hands to the guest. The
// host writes the address into the guest's memory without the garbage collector's
// knowledge. Until the SDK has read the address, nothing that the collector knows of
// refers to the buffer. So pinned refers to it until the callback ends.
//
//go:wasmexport proxy_on_memory_allocate
func proxyOnMemoryAllocate(size uint32) unsafe.Pointer {
	// At least one byte: a host may ask for zero bytes, and an empty slice has no
	// address.
	buf := make([]byte, max(size, 1))
	pinned = append(pinned, buf)
	return unsafe.Pointer(unsafe.SliceData(buf))
}

//go:wasmexport proxy_abi_version_0_2_0
func proxyABIVersion() {}

//go:wasmexport proxy_on_vm_start
func onVMStart(contextID, vmConfigurationSize uint32) bool {
	enter()
	defer leave()
	return bool(abi.OnVMStart(contextID, int(vmConfigurationSize)))
}

//go:wasmexport proxy_on_configure
func onConfigure(pluginContextID, pluginConfigurationSize uint32) bool {
	enter()
	defer leave()
	return bool(abi.OnConfigure(pluginContextID, int(pluginConfigurationSize)))
}

//go:wasmexport proxy_on_context_create
func onContextCreate(contextID, pluginContextID uint32) {
	enter()
	defer leave()
	abi.OnContextCreate(contextID, pluginContextID)
}

//go:wasmexport proxy_on_log
func onLog(contextID uint32) {
	enter()
	defer leave()
	abi.OnLog(contextID)
}

//go:wasmexport proxy_on_done
func onDone(contextID uint32) bool {
	enter()
	defer leave()
	return abi.OnDone(contextID)
}

//go:wasmexport proxy_on_delete
func onDelete(contextID uint32) {
	enter()
	defer leave()
	abi.OnDelete(contextID)
}

//go:wasmexport proxy_on_tick
func onTick(pluginContextID uint32) {
	enter()
	defer leave()
	abi.OnTick(pluginContextID)
}

//go:wasmexport proxy_on_queue_ready
func onQueueReady(pluginContextID, queueID uint32) {
	enter()
	defer leave()
	abi.OnQueueReady(pluginContextID, queueID)
}

//go:wasmexport proxy_on_new_connection
func onNewConnection(contextID uint32) uint32 {
	enter()
	defer leave()
	return uint32(abi.OnNewConnection(contextID))
}

//go:wasmexport proxy_on_downstream_data
func onDownstreamData(contextID, dataSize uint32, endOfStream bool) uint32 {
	enter()
	defer leave()
	return uint32(abi.OnDownstreamData(contextID, int(dataSize), endOfStream))
}

//go:wasmexport proxy_on_downstream_connection_close
func onDownstreamConnectionClose(contextID, peerType uint32) {
	enter()
	defer leave()
	abi.OnDownstreamConnectionClose(contextID, types.PeerType(peerType))
}

//go:wasmexport proxy_on_upstream_data
func onUpstreamData(contextID, dataSize uint32, endOfStream bool) uint32 {
	enter()
	defer leave()
	return uint32(abi.OnUpstreamData(contextID, int(dataSize), endOfStream))
}

//go:wasmexport proxy_on_upstream_connection_close
func onUpstreamConnectionClose(contextID, peerType uint32) {
	enter()
	defer leave()
	abi.OnUpstreamConnectionClose(contextID, types.PeerType(peerType))
}

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(contextID, numHeaders uint32, endOfStream bool) uint32 {
	enter()
	defer leave()
	return uint32(abi.OnRequestHeaders(contextID, int(numHeaders), endOfStream))
}

//go:wasmexport proxy_on_request_body
func onRequestBody(contextID, bodySize uint32, endOfStream bool) uint32 {
	enter()
	defer leave()
	return uint32(abi.OnRequestBody(contextID, int(bodySize), endOfStream))
}

//go:wasmexport proxy_on_request_trailers
func onRequestTrailers(contextID, numTrailers uint32) uint32 {
	enter()
	defer leave()
	return uint32(abi.OnRequestTrailers(contextID, int(numTrailers)))
}

//go:wasmexport proxy_on_response_headers
func onResponseHeaders(contextID, numHeaders uint32, endOfStream bool) uint32 {
	enter()
	defer leave()
	return uint32(abi.OnResponseHeaders(contextID, int(numHeaders), endOfStream))
}

//go:wasmexport proxy_on_response_body
func onResponseBody(contextID, bodySize uint32, endOfStream bool) uint32 {
	enter()
	defer leave()
	return uint32(abi.OnResponseBody(contextID, int(bodySize), endOfStream))
}

//go:wasmexport proxy_on_response_trailers
func onResponseTrailers(contextID, numTrailers uint32) uint32 {
	enter()
	defer leave()
	return uint32(abi.OnResponseTrailers(contextID, int(numTrailers)))
}

//go:wasmexport proxy_on_http_call_response
func onHTTPCallResponse(pluginContextID, calloutID, numHeaders, bodySize, numTrailers uint32) {
	enter()
	defer leave()
	abi.OnHttpCallResponse(pluginContextID, calloutID, int(numHeaders), int(bodySize), int(numTrailers))
}
