// Package configuration hands a filter the configuration that the proxy has for it.
//
// It exists because every filter has to refuse what it cannot read in the same way:
// not start, and say why in one line at level critical, which is all that whoever
// deployed it gets to see.
package configuration

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
)

// Plugin returns the plugin configuration as parse reads it. filter is the name
// that the log line begins with, and size what OnPluginStart was given. If ok is
// false, the line is written and the plugin must not start.
//
// parse gets nil if there is no configuration. Its error is one line.
func Plugin[T any](filter string, size int, parse func(data []byte) (T, error)) (c T, ok bool) {
	return read(filter, "plugin configuration: ", size, proxywasm.GetPluginConfiguration, parse)
}

// VM returns the VM configuration as parse reads it: as Plugin does, but in
// OnVMStart.
func VM[T any](filter string, size int, parse func(data []byte) (T, error)) (c T, ok bool) {
	return read(filter, "VM configuration: ", size, proxywasm.GetVMConfiguration, parse)
}

func read[T any](filter, kind string, size int, get func() ([]byte, error), parse func([]byte) (T, error)) (c T, ok bool) {
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
