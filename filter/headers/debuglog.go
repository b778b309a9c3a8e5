package main

import (
	"slices"
	"strconv"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"

	"github.com/slipway-wasm/slipway/filter/internal/httpheader"
)

// logHeaders logs the headers that get returns, all in one message: half the price
// of one message each. The proxy drops the message unless its level is debug, and
// the filter cannot know: the host offers proxy_get_log_level to modules of ABI
// 0.2.1 only, and the SDK's are of ABI 0.2.0.
func (s *stream) logHeaders(what string, get func() ([][2]string, error)) {
	if !s.plugin.config.debugLog {
		return
	}
	headers, err := get()
	if err != nil {
		return
	}
	line := append(s.plugin.line[:0], s.name()...)
	line = append(line, what...)
	for _, h := range headers {
		name, value := h[0], h[1]
		if slices.Contains(httpheader.Sensitive, name) {
			value = "(redacted)"
		}
		line = append(line, " ["...)
		line = append(line, name...)
		line = append(line, ": "...)
		line = append(line, value...)
		line = append(line, ']')
	}
	s.plugin.line = line
	proxywasm.LogDebug(string(line))
}

// name is how messages call the stream.
func (s *stream) name() string {
	return "context " + strconv.Itoa(int(s.id)) + ":"
}
