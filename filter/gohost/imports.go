//go:build wasip1 && !tinygo

package gohost

import "unsafe"

// The host's functions, as the ABI names them. Sizes are 32 bits wide in the
// ABI. The addresses behind returnXxx are written 4 bytes wide by the host.

//go:wasmimport env proxy_log
//go:noescape
func hostLog(logLevel uint32, messageData *byte, messageSize uint32) uint32

//go:wasmimport env proxy_send_local_response
//go:noescape
func hostSendLocalResponse(statusCode uint32, detailsData *byte, detailsSize uint32, bodyData *byte, bodySize uint32, headersData *byte, headersSize uint32, grpcStatus int32) uint32

//go:wasmimport env proxy_get_shared_data
//go:noescape
func hostGetSharedData(keyData *byte, keySize uint32, returnValueData, returnValueSize unsafe.Pointer, returnCas *uint32) uint32

//go:wasmimport env proxy_set_shared_data
//go:noescape
func hostSetSharedData(keyData *byte, keySize uint32, valueData *byte, valueSize, cas uint32) uint32

//go:wasmimport env proxy_register_shared_queue
//go:noescape
func hostRegisterSharedQueue(nameData *byte, nameSize uint32, returnID *uint32) uint32

//go:wasmimport env proxy_resolve_shared_queue
//go:noescape
func hostResolveSharedQueue(vmIDData *byte, vmIDSize uint32, nameData *byte, nameSize uint32, returnID *uint32) uint32

//go:wasmimport env proxy_dequeue_shared_queue
//go:noescape
func hostDequeueSharedQueue(queueID uint32, returnValueData, returnValueSize unsafe.Pointer) uint32

//go:wasmimport env proxy_enqueue_shared_queue
//go:noescape
func hostEnqueueSharedQueue(queueID uint32, valueData *byte, valueSize uint32) uint32

//go:wasmimport env proxy_get_header_map_value
//go:noescape
func hostGetHeaderMapValue(mapType uint32, keyData *byte, keySize uint32, returnValueData, returnValueSize unsafe.Pointer) uint32

//go:wasmimport env proxy_add_header_map_value
//go:noescape
func hostAddHeaderMapValue(mapType uint32, keyData *byte, keySize uint32, valueData *byte, valueSize uint32) uint32

//go:wasmimport env proxy_replace_header_map_value
//go:noescape
func hostReplaceHeaderMapValue(mapType uint32, keyData *byte, keySize uint32, valueData *byte, valueSize uint32) uint32

//go:wasmimport env proxy_remove_header_map_value
//go:noescape
func hostRemoveHeaderMapValue(mapType uint32, keyData *byte, keySize uint32) uint32

//go:wasmimport env proxy_get_header_map_pairs
//go:noescape
func hostGetHeaderMapPairs(mapType uint32, returnValueData, returnValueSize unsafe.Pointer) uint32

//go:wasmimport env proxy_set_header_map_pairs
//go:noescape
func hostSetHeaderMapPairs(mapType uint32, mapData *byte, mapSize uint32) uint32

//go:wasmimport env proxy_get_buffer_bytes
//go:noescape
func hostGetBufferBytes(bufferType, start, maxSize uint32, returnBufferData, returnBufferSize unsafe.Pointer) uint32

//go:wasmimport env proxy_set_buffer_bytes
//go:noescape
func hostSetBufferBytes(bufferType, start, maxSize uint32, bufferData *byte, bufferSize uint32) uint32

//go:wasmimport env proxy_continue_stream
//go:noescape
func hostContinueStream(streamType uint32) uint32

//go:wasmimport env proxy_close_stream
//go:noescape
func hostCloseStream(streamType uint32) uint32

//go:wasmimport env proxy_http_call
//go:noescape
func hostHttpCall(upstreamData *byte, upstreamSize uint32, headerData *byte, headerSize uint32, bodyData *byte, bodySize uint32, trailersData *byte, trailersSize, timeout uint32, returnCalloutID *uint32) uint32

//go:wasmimport env proxy_call_foreign_function
//go:noescape
func hostCallForeignFunction(nameData *byte, nameSize uint32, argumentData *byte, argumentSize uint32, returnData, returnSize unsafe.Pointer) uint32

//go:wasmimport env proxy_set_tick_period_milliseconds
//go:noescape
func hostSetTickPeriodMilliseconds(period uint32) uint32

//go:wasmimport env proxy_set_effective_context
//go:noescape
func hostSetEffectiveContext(contextID uint32) uint32

//go:wasmimport env proxy_done
//go:noescape
func hostDone() uint32

//go:wasmimport env proxy_define_metric
//go:noescape
func hostDefineMetric(metricType uint32, metricNameData *byte, metricNameSize uint32, returnMetricID *uint32) uint32

//go:wasmimport env proxy_increment_metric
//go:noescape
func hostIncrementMetric(metricID uint32, offset int64) uint32

//go:wasmimport env proxy_record_metric
//go:noescape
func hostRecordMetric(metricID uint32, value uint64) uint32

//go:wasmimport env proxy_get_metric
//go:noescape
func hostGetMetric(metricID uint32, returnMetricValue *uint64) uint32

//go:wasmimport env proxy_get_property
//go:noescape
func hostGetProperty(pathData *byte, pathSize uint32, returnValueData, returnValueSize unsafe.Pointer) uint32

//go:wasmimport env proxy_set_property
//go:noescape
func hostSetProperty(pathData *byte, pathSize uint32, valueData *byte, valueSize uint32) uint32
