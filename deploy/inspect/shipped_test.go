package inspect_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// A module is started with what the manifests carry, and the error says where that is.
func TestShipped(t *testing.T) {
	t.Parallel()
	refuses := wasmtest.Encode(wasmtest.Starts()["false from proxy_on_configure"].Options)
	apply := func(a catalog.Apply) catalog.Filter {
		return catalog.Filter{Name: "a", Dir: "/filter/a", Metadata: catalog.Metadata{Apply: &a}}
	}
	for name, test := range map[string]struct {
		filter catalog.Filter
		wasm   []byte
		want   string
	}{
		"takes it":              {apply(catalog.Apply{PluginConfig: map[string]any{"a": "b"}}), wasmtest.Encode(wasmtest.Filter()), ""},
		"refuses it":            {apply(catalog.Apply{PluginConfig: map[string]any{"a": "b"}}), refuses, "/filter/a/filter.yaml: apply.pluginConfig: the filter does not start with the configuration that its manifests carry: "},
		"refuses none":          {apply(catalog.Apply{}), refuses, "proxy_on_configure refuses an empty configuration"},
		"no manifests":          {catalog.Filter{Name: "a"}, refuses, ""},
		"environment variables": {apply(catalog.Apply{VMConfig: catalog.VMConfig{Env: []catalog.EnvVar{{Name: "A"}}}}), refuses, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := inspect.Shipped(t.Context(), test.filter, test.wasm)
			if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, inspect.ErrRefusesShipped) || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error is %v, want %q in it", err, test.want)
			}
		})
	}
}
