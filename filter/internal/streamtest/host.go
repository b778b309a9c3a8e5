package streamtest

import (
	"encoding/binary"
	"unsafe"

	"github.com/slipway-wasm/slipway/filter/internal/abi"
)

// The ABI's numbers that host knows.
// https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1
const (
	statusOK       = 0
	statusNotFound = 1

	mapRequestHeaders      = 0
	mapResponseHeaders     = 2
	mapCallResponseHeaders = 6

	bufferVMConfiguration     = 6
	bufferPluginConfiguration = 7
)

// host takes the proxy's place. It allocates nothing of its own, so that testing counts
// only what the filter and the SDK allocate. What it hands out lies in memory that it
// asks the filter for, as a proxy does. It accepts header changes and forgets them, so
// that every stream is like the one before.
type host struct {
	abi.Host // nil: a call that no filter of ours makes panics

	calls      int
	maps       map[uint32][]byte // serialized
	values     map[uint32][][2]string
	properties map[string][]byte // by path, with its parts separated by NUL
	buffers    map[uint32][]byte
	shared     map[string][]byte
	cas        uint32
}

var _ abi.Host = (*host)(nil)

// give hands data to the filter.
func give(data []byte, to **byte, size *int) uint32 {
	if len(data) == 0 {
		*to, *size = nil, 0
		return statusOK
	}
	*to, *size = abi.OnMemoryAllocate(uint(len(data))), len(data)
	copy(unsafe.Slice(*to, len(data)), data)
	return statusOK
}

func (h *host) ProxyLog(uint32, *byte, int) uint32 {
	h.calls++
	return statusOK
}

func (h *host) ProxyGetHeaderMapPairs(mapType uint32, data **byte, size *int) uint32 {
	h.calls++
	return give(h.maps[mapType], data, size)
}

func (h *host) ProxyGetHeaderMapValue(mapType uint32, key *byte, keySize int, data **byte, size *int) uint32 {
	h.calls++
	name := unsafe.String(key, keySize)
	for _, header := range h.values[mapType] {
		if header[0] == name {
			return give(unsafe.Slice(unsafe.StringData(header[1]), len(header[1])), data, size)
		}
	}
	return statusNotFound
}

func (h *host) ProxyAddHeaderMapValue(uint32, *byte, int, *byte, int) uint32 {
	h.calls++
	return statusOK
}

func (h *host) ProxyReplaceHeaderMapValue(uint32, *byte, int, *byte, int) uint32 {
	h.calls++
	return statusOK
}

func (h *host) ProxyRemoveHeaderMapValue(uint32, *byte, int) uint32 {
	h.calls++
	return statusOK
}

func (h *host) ProxyGetProperty(path *byte, pathSize int, data **byte, size *int) uint32 {
	h.calls++
	value, found := h.properties[unsafe.String(path, pathSize)]
	if !found {
		return statusNotFound
	}
	return give(value, data, size)
}

func (h *host) ProxyGetBufferBytes(bufferType uint32, _, _ int, data **byte, size *int) uint32 {
	h.calls++
	return give(h.buffers[bufferType], data, size)
}

func (h *host) ProxyGetSharedData(key *byte, keySize int, data **byte, size *int, cas *uint32) uint32 {
	h.calls++
	value, found := h.shared[unsafe.String(key, keySize)]
	if !found {
		return statusNotFound
	}
	*cas = h.cas
	return give(value, data, size)
}

func (h *host) ProxySetSharedData(key *byte, keySize int, data *byte, size int, _ uint32) uint32 {
	h.calls++
	h.cas++
	h.shared[string(unsafe.Slice(key, keySize))] = append([]byte{}, unsafe.Slice(data, size)...)
	return statusOK
}

func (h *host) ProxyHttpCall(_ *byte, _ int, _ *byte, _ int, _ *byte, _ int, _ *byte, _ int, _ uint32, id *uint32) uint32 {
	h.calls++
	*id = callout
	return statusOK
}

func (h *host) ProxySetEffectiveContext(uint32) uint32 {
	h.calls++
	return statusOK
}

func (h *host) ProxySetTickPeriodMilliseconds(uint32) uint32 {
	h.calls++
	return statusOK
}

func (h *host) ProxyDefineMetric(uint32, *byte, int, *uint32) uint32 {
	h.calls++
	return statusOK
}

func (h *host) ProxyIncrementMetric(uint32, int64) uint32 {
	h.calls++
	return statusOK
}

// serialize returns headers as the ABI hands them over: their number, the sizes of
// names and values, then the names and values, each followed by NUL.
func serialize(headers [][2]string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(headers)))
	for _, h := range headers {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(h[0])))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(h[1])))
	}
	for _, h := range headers {
		b = append(append(b, h[0]...), 0)
		b = append(append(b, h[1]...), 0)
	}
	return b
}
