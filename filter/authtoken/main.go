package main

import (
	"time"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/conf"
	_ "github.com/slipway-wasm/slipway/filter/gohost"
)

func main() {}

func init() { proxywasm.SetVMContext(&vmContext{clock: time.Now}) }

// vmContext is the filter in one worker.
type vmContext struct {
	types.DefaultVMContext
	clock func() time.Time
}

// NewPluginContext makes the context of one plugin configuration.
func (v *vmContext) NewPluginContext(uint32) types.PluginContext {
	return &plugin{clock: v.clock}
}

// plugin is the context of one plugin configuration.
type plugin struct {
	types.DefaultPluginContext
	clock func() time.Time

	config     *config
	refresher  *refresher
	tickMillis uint32 // the period the proxy was told last
	stream     stream // the context of every stream: none holds anything of its own
}

// OnPluginStart reads the configuration and has the first tick come at once.
//
// Nothing is fetched before that tick. Envoy first starts each plugin in a VM of its
// own, the canary, to see whether it accepts the configuration, and kills that VM
// without another call (WasmHandleBase::canary in proxy-wasm-cpp-host, src/wasm.cc). A
// fetch from here would be cancelled there, and leave a lease without a holder.
func (p *plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	c, ok := conf.Plugin("authtoken", size, parseConfig)
	if !ok {
		return types.OnPluginStartStatusFailed
	}
	proxy, err := newProxy(c, p.clock)
	if err != nil {
		proxywasm.LogCritical("authtoken: " + err.Error())
		return types.OnPluginStartStatusFailed
	}
	p.config = c
	p.refresher = newRefresher(c, proxy)
	p.stream.plugin = p
	p.setTick(1) // 0 would be never
	return types.OnPluginStartStatusOK
}

// OnTick refreshes the token if it is time to.
func (p *plugin) OnTick() {
	next := time.Duration(p.refresher.tick())
	p.setTick(uint32((next + time.Millisecond - 1) / time.Millisecond))
}

// setTick sets the period of ticks, with a call to the proxy only if it changes.
func (p *plugin) setTick(millis uint32) {
	if millis == p.tickMillis {
		return
	}
	if err := proxywasm.SetTickPeriodMilliSeconds(millis); err != nil {
		proxywasm.LogError("authtoken: set the tick period: " + err.Error() + "; the token may not be refreshed")
		return
	}
	p.tickMillis = millis
}

// OnPluginDone lets another worker fetch at once if this one no longer will.
func (p *plugin) OnPluginDone() bool {
	if p.refresher != nil { // nil if the configuration was refused
		p.refresher.release()
	}
	return true
}

// NewHttpContext makes the context of one stream. Streams of a plugin that did not
// start pass unchanged.
func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	if p.config == nil {
		return &types.DefaultHttpContext{}
	}
	return &p.stream
}

// stream is the context of each request with its response.
type stream struct {
	types.DefaultHttpContext
	plugin *plugin
}

// OnHttpRequestHeaders puts the token on the request.
func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	c := s.plugin.config
	if !c.onRequest {
		return types.ActionContinue
	}
	// Removing comes first, even without a token: the upstream must never see a value
	// that the client chose. Replacing would not do, because Envoy then keeps a second
	// header of that name.
	check(proxywasm.RemoveHttpRequestHeader(c.header))
	if token := s.plugin.refresher.current(); token != "" {
		check(proxywasm.AddHttpRequestHeader(c.header, token))
	}
	return types.ActionContinue
}

// OnHttpResponseHeaders puts the token and the static headers on the response.
func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	c := s.plugin.config
	if c.onResponse {
		check(proxywasm.RemoveHttpResponseHeader(c.header))
		if token := s.plugin.refresher.current(); token != "" {
			check(proxywasm.AddHttpResponseHeader(c.header, token))
		}
	}
	for _, h := range c.static {
		check(proxywasm.RemoveHttpResponseHeader(h.Name))
	}
	for _, h := range c.static {
		check(proxywasm.AddHttpResponseHeader(h.Name, h.Value))
	}
	return types.ActionContinue
}

// check logs that the proxy refused to change a header.
func check(err error) {
	if err != nil {
		proxywasm.LogError("authtoken: change a header: " + err.Error())
	}
}
