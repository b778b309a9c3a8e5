//go:build wasip1 && !tinygo

package gohost

import (
	"unsafe"

	"github.com/slipway-wasm/slipway/filter/internal/abi"
)

// envoy passes each call on to the proxy. Pointers and ints are 8 bytes wide in
// Go's wasm, and the proxy writes 4: every result is zeroed before the call, or
// its upper half would be whatever stood there.
type envoy struct{}

func init() {
	abi.Keep(envoy{})
	abi.RegisterHost(envoy{}) // for good: what it returns would only unlock the next test's registration
}

func (envoy) ProxyLog(logLevel uint32, messageData *byte, messageSize int) uint32 {
	return hostLog(logLevel, messageData, uint32(messageSize))
}

func (envoy) ProxySendLocalResponse(statusCode uint32, detailsData *byte, detailsSize int, bodyData *byte, bodySize int, headersData *byte, headersSize int, grpcStatus int32) uint32 {
	return hostSendLocalResponse(statusCode, detailsData, uint32(detailsSize), bodyData, uint32(bodySize), headersData, uint32(headersSize), grpcStatus)
}

func (envoy) ProxyGetSharedData(keyData *byte, keySize int, returnValueData **byte, returnValueSize *int, returnCas *uint32) uint32 {
	*returnValueData = nil
	*returnValueSize = 0
	return hostGetSharedData(keyData, uint32(keySize), unsafe.Pointer(returnValueData), unsafe.Pointer(returnValueSize), returnCas)
}

func (envoy) ProxySetSharedData(keyData *byte, keySize int, valueData *byte, valueSize int, cas uint32) uint32 {
	return hostSetSharedData(keyData, uint32(keySize), valueData, uint32(valueSize), cas)
}

func (envoy) ProxyRegisterSharedQueue(nameData *byte, nameSize int, returnID *uint32) uint32 {
	return hostRegisterSharedQueue(nameData, uint32(nameSize), returnID)
}

func (envoy) ProxyResolveSharedQueue(vmIDData *byte, vmIDSize int, nameData *byte, nameSize int, returnID *uint32) uint32 {
	return hostResolveSharedQueue(vmIDData, uint32(vmIDSize), nameData, uint32(nameSize), returnID)
}

func (envoy) ProxyDequeueSharedQueue(queueID uint32, returnValueData **byte, returnValueSize *int) uint32 {
	*returnValueData = nil
	*returnValueSize = 0
	return hostDequeueSharedQueue(queueID, unsafe.Pointer(returnValueData), unsafe.Pointer(returnValueSize))
}

func (envoy) ProxyEnqueueSharedQueue(queueID uint32, valueData *byte, valueSize int) uint32 {
	return hostEnqueueSharedQueue(queueID, valueData, uint32(valueSize))
}

func (envoy) ProxyGetHeaderMapValue(mapType uint32, keyData *byte, keySize int, returnValueData **byte, returnValueSize *int) uint32 {
	*returnValueData = nil
	*returnValueSize = 0
	return hostGetHeaderMapValue(mapType, keyData, uint32(keySize), unsafe.Pointer(returnValueData), unsafe.Pointer(returnValueSize))
}

func (envoy) ProxyAddHeaderMapValue(mapType uint32, keyData *byte, keySize int, valueData *byte, valueSize int) uint32 {
	return hostAddHeaderMapValue(mapType, keyData, uint32(keySize), valueData, uint32(valueSize))
}

func (envoy) ProxyReplaceHeaderMapValue(mapType uint32, keyData *byte, keySize int, valueData *byte, valueSize int) uint32 {
	return hostReplaceHeaderMapValue(mapType, keyData, uint32(keySize), valueData, uint32(valueSize))
}

func (envoy) ProxyRemoveHeaderMapValue(mapType uint32, keyData *byte, keySize int) uint32 {
	return hostRemoveHeaderMapValue(mapType, keyData, uint32(keySize))
}

func (envoy) ProxyGetHeaderMapPairs(mapType uint32, returnValueData **byte, returnValueSize *int) uint32 {
	*returnValueData = nil
	*returnValueSize = 0
	return hostGetHeaderMapPairs(mapType, unsafe.Pointer(returnValueData), unsafe.Pointer(returnValueSize))
}

func (envoy) ProxySetHeaderMapPairs(mapType uint32, mapData *byte, mapSize int) uint32 {
	return hostSetHeaderMapPairs(mapType, mapData, uint32(mapSize))
}

func (envoy) ProxyGetBufferBytes(bufferType uint32, start, maxSize int, returnBufferData **byte, returnBufferSize *int) uint32 {
	*returnBufferData = nil
	*returnBufferSize = 0
	return hostGetBufferBytes(bufferType, uint32(start), uint32(maxSize), unsafe.Pointer(returnBufferData), unsafe.Pointer(returnBufferSize))
}

func (envoy) ProxySetBufferBytes(bufferType uint32, start, maxSize int, bufferData *byte, bufferSize int) uint32 {
	return hostSetBufferBytes(bufferType, uint32(start), uint32(maxSize), bufferData, uint32(bufferSize))
}

func (envoy) ProxyContinueStream(streamType uint32) uint32 {
	return hostContinueStream(streamType)
}

func (envoy) ProxyCloseStream(streamType uint32) uint32 {
	return hostCloseStream(streamType)
}

func (envoy) ProxyHttpCall(upstreamData *byte, upstreamSize int, headerData *byte, headerSize int, bodyData *byte, bodySize int, trailersData *byte, trailersSize int, timeout uint32, returnCalloutID *uint32) uint32 {
	return hostHttpCall(upstreamData, uint32(upstreamSize), headerData, uint32(headerSize), bodyData, uint32(bodySize), trailersData, uint32(trailersSize), timeout, returnCalloutID)
}

func (envoy) ProxyCallForeignFunction(nameData *byte, nameSize int, argumentData *byte, argumentSize int, returnData **byte, returnSize *int) uint32 {
	*returnData = nil
	*returnSize = 0
	return hostCallForeignFunction(nameData, uint32(nameSize), argumentData, uint32(argumentSize), unsafe.Pointer(returnData), unsafe.Pointer(returnSize))
}

func (envoy) ProxySetTickPeriodMilliseconds(period uint32) uint32 {
	return hostSetTickPeriodMilliseconds(period)
}

func (envoy) ProxySetEffectiveContext(contextID uint32) uint32 {
	return hostSetEffectiveContext(contextID)
}

func (envoy) ProxyDone() uint32 {
	return hostDone()
}

func (envoy) ProxyDefineMetric(metricType uint32, metricNameData *byte, metricNameSize int, returnMetricID *uint32) uint32 {
	return hostDefineMetric(metricType, metricNameData, uint32(metricNameSize), returnMetricID)
}

func (envoy) ProxyIncrementMetric(metricID uint32, offset int64) uint32 {
	return hostIncrementMetric(metricID, offset)
}

func (envoy) ProxyRecordMetric(metricID uint32, value uint64) uint32 {
	return hostRecordMetric(metricID, value)
}

func (envoy) ProxyGetMetric(metricID uint32, returnMetricValue *uint64) uint32 {
	return hostGetMetric(metricID, returnMetricValue)
}

func (envoy) ProxyGetProperty(pathData *byte, pathSize int, returnValueData **byte, returnValueSize *int) uint32 {
	*returnValueData = nil
	*returnValueSize = 0
	return hostGetProperty(pathData, uint32(pathSize), unsafe.Pointer(returnValueData), unsafe.Pointer(returnValueSize))
}

func (envoy) ProxySetProperty(pathData *byte, pathSize int, valueData *byte, valueSize int) uint32 {
	return hostSetProperty(pathData, uint32(pathSize), valueData, uint32(valueSize))
}
