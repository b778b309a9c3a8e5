package main

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/conf"
	_ "github.com/slipway-wasm/slipway/filter/gohost"
	"github.com/slipway-wasm/slipway/filter/internal/hostcall"
)

func main() {}

func init() { proxywasm.SetVMContext(&vmContext{}) }

type vmContext struct{ types.DefaultVMContext }

// NewPluginContext makes the context of one plugin configuration.
func (*vmContext) NewPluginContext(uint32) types.PluginContext { return &plugin{} }

// plugin is the context of one plugin configuration.
type plugin struct {
	types.DefaultPluginContext
	config  *config
	counter hostcall.Counter

	quiet   stream      // the context of every stream that is not logged: none holds anything of its own
	headers [][2]string // kept for its memory, as line is; both are empty between callbacks
	line    []byte
}

// OnPluginStart reads the plugin configuration.
func (p *plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	c, ok := conf.Plugin("headers", size, parseConfig)
	if !ok {
		return types.OnPluginStartStatusFailed
	}
	var err error
	if p.counter, err = hostcall.DefineCounter(c.countMetric); err != nil {
		proxywasm.LogCritical("headers: " + err.Error())
		return types.OnPluginStartStatusFailed
	}
	p.config = c
	p.quiet.plugin = p
	return types.OnPluginStartStatusOK
}

// NewHttpContext makes the context of one stream. Streams of a plugin that did not
// start pass unchanged.
func (p *plugin) NewHttpContext(id uint32) types.HttpContext {
	if p.config == nil {
		return &types.DefaultHttpContext{}
	}
	if !p.config.debugLog {
		return &p.quiet
	}
	return &stream{plugin: p, id: id}
}

// stream is the context of one request with its response.
type stream struct {
	types.DefaultHttpContext
	plugin *plugin
	id     uint32
}

// OnHttpRequestHeaders logs and counts what came, then changes it.
func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	s.logHeaders("request", hostcall.RequestHeaders)
	if _, found := hostcall.Header(hostcall.RequestHeaders, s.plugin.config.countHeader); found {
		s.plugin.counter.Add(1)
	}
	apply(s.plugin.config.request, proxywasm.RemoveHttpRequestHeader, proxywasm.ReplaceHttpRequestHeader, proxywasm.AddHttpRequestHeader)
	return types.ActionContinue
}

// OnHttpResponseHeaders logs what came, then changes it.
func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	s.logHeaders("response", hostcall.ResponseHeaders)
	apply(s.plugin.config.response, proxywasm.RemoveHttpResponseHeader, proxywasm.ReplaceHttpResponseHeader, proxywasm.AddHttpResponseHeader)
	return types.ActionContinue
}

// OnHttpStreamDone logs the end of the stream.
func (s *stream) OnHttpStreamDone() { s.logDone() }

// apply makes the changes with the host calls for one direction. A call that
// fails is logged, and the rest goes on.
func apply(changes []change, remover func(string) error, setter, adder func(string, string) error) {
	for _, c := range changes {
		var err error
		switch c.verb {
		case remove:
			err = remover(c.name)
		case set:
			err = setter(c.name, c.value)
		case add:
			err = adder(c.name, c.value)
		}
		if err != nil {
			proxywasm.LogError("headers: change header " + c.name + ": " + err.Error())
		}
	}
}
