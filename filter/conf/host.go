package conf

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
)

// Plugin asks the proxy for the plugin configuration, and returns what parse makes of
// it. Call it in OnPluginStart with the size given there. filter is the name that log
// lines begin with. If ok is false, the plugin must not start. One line at level
// critical has then said why; whoever deployed the filter sees nothing but that line.
//
// parse gets nil if there is no configuration. Its error is one line.
func Plugin[T any](filter string, size int, parse func(data []byte) (T, error)) (c T, ok bool) {
	return fromProxy(filter, "plugin configuration: ", size, proxywasm.GetPluginConfiguration, parse)
}

// VM does for the VM configuration what Plugin does for the plugin's. Call it in
// OnVMStart.
func VM[T any](filter string, size int, parse func(data []byte) (T, error)) (c T, ok bool) {
	return fromProxy(filter, "VM configuration: ", size, proxywasm.GetVMConfiguration, parse)
}

func fromProxy[T any](filter, kind string, size int, get func() ([]byte, error), parse func([]byte) (T, error)) (c T, ok bool) {
	var data []byte
	if size > 0 { // a host answers with an error if there is no configuration
		var err error
		if data, err = get(); err != nil {
			proxywasm.LogCritical(filter + ": read the " + kind + err.Error())
			return c, false
		}
	}
	c, err := parse(data)
	if err != nil {
		proxywasm.LogCritical(filter + ": " + kind + err.Error())
		return c, false
	}
	return c, true
}
