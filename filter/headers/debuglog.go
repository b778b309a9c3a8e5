package main

import (
	"slices"
	"strconv"
	"unsafe"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"

	"github.com/slipway-wasm/slipway/filter/httpheader"
	"github.com/slipway-wasm/slipway/filter/internal/hostcall"
)

// logHeaders logs the headers of a map in one message, unless the configuration turns
// that off. The proxy drops the message unless its own level is debug. The filter
// cannot read that level: a host offers proxy_get_log_level to modules of ABI 0.2.1
// only, and the SDK makes modules of ABI 0.2.0. So logging must be cheap: one call to
// the proxy for all headers.
func (s *stream) logHeaders(direction string, m hostcall.Map) {
	p := s.plugin
	if !p.config.debugLog {
		return
	}
	p.headers = hostcall.Headers(m, p.headers[:0])
	if len(p.headers) == 0 {
		return
	}
	line := append(append(s.begin(), direction...), " headers:"...)
	for i := range p.headers {
		name, value := p.headers[i][0], p.headers[i][1]
		if slices.Contains(httpheader.Sensitive, name) {
			value = "(redacted)"
		}
		line = append(append(line, " ["...), name...)
		line = append(append(line, ": "...), value...)
		line = append(line, ']')
	}
	clear(p.headers) // they share the proxy's memory, which the collector may then take
	s.log(line)
}

// logDone logs the end of the stream, unless the configuration turns that off.
func (s *stream) logDone() {
	if s.plugin.config.debugLog {
		s.log(append(s.begin(), "stream done"...))
	}
}

// begin begins a message with the stream's context id.
func (s *stream) begin() []byte {
	line := s.plugin.line[:0]
	line = append(line, "context "...)
	return append(strconv.AppendUint(line, uint64(s.id), 10), ": "...)
}

// maxKept bounds the memory that is kept for messages to come.
const maxKept = 16 << 10

func (s *stream) log(line []byte) {
	// The proxy copies the message before the call returns, so that the string may
	// share the line's memory.
	proxywasm.LogDebug(unsafe.String(unsafe.SliceData(line), len(line)))
	if cap(line) <= maxKept {
		s.plugin.line = line
	}
}
