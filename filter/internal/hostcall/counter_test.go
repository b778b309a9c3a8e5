package hostcall

import (
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
)

func TestCounter(t *testing.T) {
	host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption())
	defer reset()
	a, err := DefineCounter("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := DefineCounter("b")
	if err != nil {
		t.Fatal(err)
	}
	again, err := DefineCounter("a")
	if err != nil {
		t.Fatal(err)
	}
	a.Add(2)
	b.Add(10)
	again.Add(1)
	for name, want := range map[string]uint64{"a": 3, "b": 10} {
		if got, err := host.GetCounterMetric(name); err != nil || got != want {
			t.Errorf("counter %s is %d (%v), want %d", name, got, err, want)
		}
	}
}
