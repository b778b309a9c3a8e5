package main

import (
	"encoding/binary"
	"unsafe"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/conf"
	_ "github.com/slipway-wasm/slipway/filter/gohost"
	"github.com/slipway-wasm/slipway/filter/internal/hostcall"
)

func main() {}

func init() { proxywasm.SetVMContext(&vmContext{}) }

const (
	directionIn  = "in"
	directionOut = "out"
)

// vmContext holds what the VM configuration says.
type vmContext struct {
	types.DefaultVMContext
	direction string // "" if it says nothing
}

// OnVMStart reads the VM configuration.
func (v *vmContext) OnVMStart(size int) types.OnVMStartStatus {
	direction, ok := conf.VM("requestlog", size, parseVMConfig)
	if !ok {
		return types.OnVMStartStatusFailed
	}
	v.direction = direction
	return types.OnVMStartStatusOK
}

// NewPluginContext makes the context of one plugin configuration.
func (v *vmContext) NewPluginContext(uint32) types.PluginContext {
	return &plugin{vm: v}
}

// maxFree is how many streams are kept for streams to come. Beyond it, they are
// left to the garbage collector, so that a peak is not held for ever.
const maxFree = 64

// plugin is the context of one plugin configuration. Envoy makes one for each direction
// too (createPluginKey in source/extensions/common/wasm/plugin.h), so all streams of a
// plugin have the direction of the first.
type plugin struct {
	types.DefaultPluginContext
	vm     *vmContext
	config *config

	listenerKnown     bool // whether the proxy has said what the next field holds
	listenerDirection string

	free    []*stream   // streams that have ended, with their buffers
	headers [][2]string // kept for its memory; empty between callbacks
}

// OnPluginStart reads the plugin configuration.
func (p *plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	c, ok := conf.Plugin("requestlog", size, parseConfig)
	if !ok {
		return types.OnPluginStartStatusFailed
	}
	p.config = c
	return types.OnPluginStartStatusOK
}

// NewHttpContext makes the context of one stream. Streams of a plugin that did not
// start are not logged.
func (p *plugin) NewHttpContext(id uint32) types.HttpContext {
	if p.config == nil {
		return &types.DefaultHttpContext{}
	}
	return p.takeStream(id)
}

// direction returns the direction of the VM configuration, else the listener's, else
// "". Call it in a stream: the proxy knows no listener elsewhere.
func (p *plugin) direction() string {
	if p.vm.direction != "" {
		return p.vm.direction
	}
	if p.listenerKnown {
		return p.listenerDirection
	}
	n, ok := int64Property(listenerDirectionProperty)
	if !ok {
		return ""
	}
	p.listenerKnown = true
	// envoy.config.core.v3.TrafficDirection
	switch n {
	case 1:
		p.listenerDirection = directionIn
	case 2:
		p.listenerDirection = directionOut
	}
	return p.listenerDirection
}

// takeStream returns a fresh stream. It reuses one that has ended if there is one.
func (p *plugin) takeStream(id uint32) *stream {
	last := len(p.free) - 1
	if last < 0 {
		return &stream{plugin: p, id: id}
	}
	s := p.free[last]
	p.free[last] = nil
	p.free = p.free[:last]
	*s = stream{plugin: p, id: id, line: line{buf: s.line.buf[:0]}}
	return s
}

// giveStream keeps a stream after its last callback for takeStream.
func (p *plugin) giveStream(s *stream) {
	if len(p.free) < maxFree {
		p.free = append(p.free, s)
	}
}

// stream is the context of one request with its response. It writes the first half of
// the line when the request headers arrive. At the end they would still be there, but
// the proxy's other filters and its router change them on the way, and the line would
// show for instance a token that one of them added. Nothing that the proxy handed out
// is kept from one callback to the next.
type stream struct {
	types.DefaultHttpContext
	plugin *plugin
	id     uint32

	line          line
	begun         bool
	requestBytes  uint64
	responseBytes uint64
}

// OnHttpRequestHeaders begins the line.
func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	s.begin()
	s.begun = true
	return types.ActionContinue
}

// OnHttpRequestBody counts. size is that of the chunk, since this filter never
// pauses a body; were it to, Envoy would report all that has been buffered
// (Context::decodeData in source/extensions/common/wasm/context.cc).
func (s *stream) OnHttpRequestBody(size int, _ bool) types.Action {
	s.requestBytes += uint64(size)
	return types.ActionContinue
}

// OnHttpResponseBody counts, likewise.
func (s *stream) OnHttpResponseBody(size int, _ bool) types.Action {
	s.responseBytes += uint64(size)
	return types.ActionContinue
}

// OnHttpStreamDone ends the line and logs it.
func (s *stream) OnHttpStreamDone() {
	if len(s.line.buf) == 0 {
		// The proxy answered before the request came to this filter. Envoy makes a
		// context nevertheless and gives it the request headers, if there are any.
		s.begin()
	}
	e := ending{
		bodies:        s.begun,
		requestBytes:  s.requestBytes,
		responseBytes: s.responseBytes,
		duration:      -1,
	}
	if status, ok := hostcall.Header(hostcall.ResponseHeaders, ":status"); ok {
		e.status = status
	}
	if ns, ok := int64Property(durationProperty); ok {
		e.duration = ns
	}
	s.line.end(&e)
	// The proxy copies the message before the call returns, so that the string may
	// share the buffer's memory.
	proxywasm.LogInfo(unsafe.String(unsafe.SliceData(s.line.buf), len(s.line.buf)))
	s.plugin.giveStream(s)
}

// begin writes what the request headers say.
func (s *stream) begin() {
	// If there are no headers, the line goes without them.
	headers := hostcall.Headers(hostcall.RequestHeaders, s.plugin.headers[:0])
	var method, authority, path string
	for i := range headers {
		switch headers[i][0] {
		case ":method":
			method = headers[i][1]
		case ":authority":
			authority = headers[i][1]
		case ":path":
			path = headers[i][1]
		}
	}
	s.line.begin(s.plugin.config.maxLineBytes, s.plugin.direction(), s.id, method, authority, path)
	s.line.headers(s.plugin.config, headers)
	clear(headers) // they share the proxy's memory, which the collector may then take
	s.plugin.headers = headers
}

// Paths of the properties that are read, their parts separated by NUL.
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes
const (
	listenerDirectionProperty = "xds\x00listener_direction"
	durationProperty          = "request\x00duration"
)

// int64Property reads a property that is a number, or a duration, which counts
// nanoseconds. Envoy hands both out as 64 bits, little-endian
// (serializeValue in source/extensions/common/wasm/context.cc).
func int64Property(path string) (int64, bool) {
	b, ok := hostcall.Property(path)
	if !ok || len(b) != 8 {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(b)), true
}
