// Slower is a proxy-wasm filter that does nothing but call the proxy once for each
// header of a request. A test of the bench checks that this extra cost shows.
package main

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	_ "github.com/slipway-wasm/slipway/filter/gohost" // for the ordinary Go compiler
)

func main() {}

func init() { proxywasm.SetVMContext(&vmContext{}) }

type vmContext struct{ types.DefaultVMContext }

// NewPluginContext makes the context of one plugin configuration.
func (*vmContext) NewPluginContext(uint32) types.PluginContext { return &pluginContext{} }

type pluginContext struct{ types.DefaultPluginContext }

// NewHttpContext makes the context of one stream.
func (*pluginContext) NewHttpContext(uint32) types.HttpContext { return &httpContext{} }

type httpContext struct{ types.DefaultHttpContext }

// OnHttpRequestHeaders asks for one header as often as there are headers.
func (*httpContext) OnHttpRequestHeaders(headers int, _ bool) types.Action {
	for range headers {
		if _, err := proxywasm.GetHttpRequestHeader(":path"); err != nil {
			proxywasm.LogError("slower: read :path: " + err.Error())
		}
	}
	return types.ActionContinue
}
