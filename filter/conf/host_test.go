package conf

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
)

// The host emulator is one for the process, so these do not run side by side.
func TestFromProxy(t *testing.T) {
	number := func(data []byte) (int, error) {
		if data == nil {
			return 7, nil
		}
		return strconv.Atoi(string(data))
	}
	never := func() ([]byte, error) {
		t.Error("the host was asked although there is no configuration")
		return nil, nil
	}
	for _, tc := range []struct {
		name string
		size int
		get  func() ([]byte, error)
		want int
		ok   bool
		logs []string
	}{
		{"none", 0, never, 7, true, nil},
		{"good", 2, func() ([]byte, error) { return []byte("42"), nil }, 42, true, nil},
		{"refused", 1, func() ([]byte, error) { return []byte("x"), nil }, 0, false,
			[]string{`f: VM configuration: strconv.Atoi: parsing "x": invalid syntax`}},
		{"unreadable", 1, func() ([]byte, error) { return nil, errors.New("gone") }, 0, false,
			[]string{"f: read the VM configuration: gone"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption())
			defer reset()
			got, ok := fromProxy("f", "VM configuration: ", tc.size, tc.get, number)
			if got != tc.want || ok != tc.ok {
				t.Errorf("got %d, %t; want %d, %t", got, ok, tc.want, tc.ok)
			}
			if logs := host.GetCriticalLogs(); !slices.Equal(logs, tc.logs) {
				t.Errorf("logged %q, want %q", logs, tc.logs)
			}
		})
	}
}

func TestPluginAndVM(t *testing.T) {
	text := func(data []byte) (string, error) { return string(data), nil }
	_, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().
		WithPluginConfiguration([]byte("of the plugin")).WithVMConfiguration([]byte("of the VM")))
	defer reset()
	if got, ok := Plugin("f", 1, text); got != "of the plugin" || !ok {
		t.Errorf("Plugin: %q, %t", got, ok)
	}
	if got, ok := VM("f", 1, text); got != "of the VM" || !ok {
		t.Errorf("VM: %q, %t", got, ok)
	}
}
