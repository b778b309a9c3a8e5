package hostcall

import (
	"reflect"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

type (
	vmContext     struct{ types.DefaultVMContext }
	pluginContext struct{ types.DefaultPluginContext }
	httpContext   struct{ types.DefaultHttpContext }
)

func (*vmContext) NewPluginContext(uint32) types.PluginContext { return &pluginContext{} }

func (*pluginContext) NewHttpContext(uint32) types.HttpContext { return &httpContext{} }

var seen func()

func (*httpContext) OnHttpRequestHeaders(int, bool) types.Action {
	seen()
	return types.ActionContinue
}

// These functions return what the SDK's return.
func TestLikeTheSDK(t *testing.T) {
	host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().WithVMContext(&vmContext{}))
	defer reset()
	if host.StartPlugin() != types.OnPluginStartStatusOK {
		t.Fatal("the plugin does not start")
	}
	if err := host.SetProperty([]string{"a", "b"}, []byte("value")); err != nil {
		t.Fatal(err)
	}
	for _, headers := range [][][2]string{
		{{":path", "/"}, {"x-a", "1"}, {"x-empty", ""}, {"x-ä", "€"}},
		{{"only", "one"}},
		{},
	} {
		calls := 0
		seen = func() {
			calls++
			want, _ := proxywasm.GetHttpRequestHeaders()
			first := [2]string{"first", "stays"}
			got := Headers(RequestHeaders, [][2]string{first})
			if got[0] != first || len(got) != len(want)+1 || len(want) > 0 && !reflect.DeepEqual(got[1:], want) {
				t.Errorf("got %q, the SDK %q", got, want)
			}
			for _, name := range []string{":path", "x-a", "x-ä", "absent", "only"} {
				want, err := proxywasm.GetHttpRequestHeader(name)
				if got, ok := Header(RequestHeaders, name); got != want || ok != (err == nil) {
					t.Errorf("%s: got %q %v, the SDK %q %v", name, got, ok, want, err)
				}
			}
			if got, ok := Property("a\x00b"); string(got) != "value" || !ok {
				t.Errorf("property: got %q %v", got, ok)
			}
			if got, ok := Property("a"); len(got) > 0 || ok {
				t.Errorf("absent property: got %q %v", got, ok)
			}
		}
		host.CallOnRequestHeaders(host.InitializeHttpContext(), headers, true)
		if calls != 1 {
			t.Errorf("called %d times", calls)
		}
	}
}
