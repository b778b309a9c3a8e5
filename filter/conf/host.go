package conf

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
)

// Plugin asks the proxy for the plugin configuration and returns it as parse reads it.
// Call it in OnPluginStart: size is what that was given, and filter is the name that a
// log line begins with. If ok is false, the plugin must not start; one line at level
// critical has said why, which is all that whoever deployed the filter gets to see.
//
// parse gets nil if there is no configuration. Its error is one line.
func Plugin[T any](filter string, size int, parse func(data []byte) (T, error)) (c T, ok bool) {
	return ask(filter, "plugin configuration: ", size, proxywasm.GetPluginConfiguration, parse)
}

// VM does for the VM configuration what Plugin does for the plugin's. Call it in
// OnVMStart.
func VM[T any](filter string, size int, parse func(data []byte) (T, error)) (c T, ok bool) {
	return ask(filter, "VM configuration: ", size, proxywasm.GetVMConfiguration, parse)
}

func ask[T any](filter, kind string, size int, get func() ([]byte, error), parse func([]byte) (T, error)) (c T, ok bool) {
	var data []byte
	if size > 0 { // asked for none, a host answers with an error
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
