package main

import (
	"slices"
	"strconv"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"

	"github.com/slipway-wasm/slipway/filter/internal/httpheader"
)

// logHeaders logs the headers that get returns, unless the configuration says no.
// The proxy drops the messages unless its level is debug, which the filter cannot
// ask for: a host offers proxy_get_log_level to modules of ABI 0.2.1 only, and
// those made with the SDK are of ABI 0.2.0.
func (s *stream) logHeaders(direction string, get func() ([][2]string, error)) {
	if !s.plugin.config.debugLog {
		return
	}
	headers, err := get()
	if err != nil {
		return
	}
	prefix := s.name() + direction + " header "
	for _, h := range headers {
		name, value := h[0], h[1]
		if slices.Contains(httpheader.Sensitive, name) {
			value = "(redacted)"
		}
		proxywasm.LogDebug(prefix + name + ": " + value)
	}
}

// logDone logs the end of the stream, unless the configuration says no.
func (s *stream) logDone() {
	if s.plugin.config.debugLog {
		proxywasm.LogDebug(s.name() + "stream done")
	}
}

// name is how messages call the stream.
func (s *stream) name() string {
	return "context " + strconv.Itoa(int(s.id)) + ": "
}
