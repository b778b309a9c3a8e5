package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// TestHostFunctions compares the table in package inspect with Envoy. A module that
// imports the whole table loads. A module that imports a function that the table lacks,
// or has with another type, does not load.
func TestHostFunctions(t *testing.T) {
	forEachEnvoy(t, func(t *testing.T, bin envoy.Binary) {
		version := bin.Version[:strings.LastIndexByte(bin.Version, '.')]
		all := wasmtest.Filter()
		for _, f := range inspect.Offered(version, "0.2.0") {
			all.Imports = append(all.Imports, imported(f))
		}
		t.Run("everything offered", func(t *testing.T) {
			t.Parallel()
			proxy, err := load(t, bin, all)
			if err != nil {
				t.Fatal(err)
			}
			listener, err := proxy.ListenerURL(suite.ctx, envoyconf.DefaultListener)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.Get(listener + "/status/204")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close() //nolint:errcheck // nothing was written
			if res.StatusCode != http.StatusNoContent {
				t.Errorf("a request through the module gets %s\n%s", res.Status, proxy.Report(nil))
			}
		})

		refused := map[string]wasmtest.Func{
			"unknown function": {Module: "wasi_snapshot_preview1", Name: "fd_fly", Signature: "i:i"},
			"another type":     {Module: "env", Name: "proxy_log", Signature: "iiI:i"},
			"another ABI's":    {Module: "env", Name: "proxy_get_log_level", Signature: "i:i"},
		}
		offered := map[string]bool{}
		for _, f := range inspect.Offered(version, "0.2.0") {
			offered[f.Name] = true
		}
		for _, f := range inspect.Offered("1.99", "0.2.0") {
			if !offered[f.Name] {
				refused["newer than this Envoy"] = imported(f)
			}
		}
		for name, function := range refused {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := wasmtest.Filter()
				o.Imports = []wasmtest.Func{function}
				_, err := load(t, bin, o)
				if err == nil || !strings.Contains(err.Error(), "import") || !strings.Contains(err.Error(), function.Name) {
					t.Errorf("Envoy loads a module that imports %s.%s, or does not say what is wrong: %v", function.Module, function.Name, err)
				}
			})
		}
	})
}

// TestStrangers compares with Envoy what package inspect says of modules by other
// compilers and languages: which load, and which end the whole process.
func TestStrangers(t *testing.T) {
	forEachEnvoy(t, func(t *testing.T, bin envoy.Binary) {
		for name, change := range map[string]func(*wasmtest.Options){
			"imported table": func(o *wasmtest.Options) {
				o.Others = []wasmtest.Other{{Module: "env", Name: "t", Kind: wasmtest.Table}}
			},
			"imported memory": func(o *wasmtest.Options) {
				o.NoMemory, o.Others = true, []wasmtest.Other{{Module: "env", Name: "m", Kind: wasmtest.Memory}}
			},
			"imported global": func(o *wasmtest.Options) {
				o.Others = []wasmtest.Other{{Module: "env", Name: "g", Kind: wasmtest.Global}}
			},
			"imported tag": func(o *wasmtest.Options) { o.Others = []wasmtest.Other{{Module: "env", Name: "t", Kind: wasmtest.Tag}} },
			"imported vector": func(o *wasmtest.Options) {
				o.Imports = []wasmtest.Func{{Module: "env", Name: "proxy_log", Signature: "v:i"}}
			},
			"imported abort": func(o *wasmtest.Options) {
				o.Imports = []wasmtest.Func{{Module: "env", Name: "abort", Signature: "iiii:"}}
			},
			"exported vector": func(o *wasmtest.Options) { o.Exports = append(o.Exports, wasmtest.Func{Name: "x", Signature: "v:v"}) },
			"vector global":   func(o *wasmtest.Options) { o.VectorGlobal = true },
			"tag":             func(o *wasmtest.Options) { o.Tag = true },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := wasmtest.Filter()
				change(&o)
				d, err := inspect.Describe(t.Context(), wasmtest.Encode(o))
				if err != nil {
					t.Fatal(err)
				}
				newest := d.Envoys[len(d.Envoys)-1]
				if _, err := load(t, bin, o); (err == nil) != newest.Loads {
					t.Errorf("inspect says %+v, and Envoy: %v", newest, err)
				}
			})
		}
	})
}

// imported is the import of f, with its type in wasmtest's notation.
func imported(f inspect.Function) wasmtest.Func {
	signature := strings.NewReplacer("(", "", ")", "", ", ", "", " -> ", ":", "i32", "i", "i64", "I").Replace(f.Signature)
	return wasmtest.Func{Module: f.Module, Name: f.Name, Signature: signature}
}

// configuration is what load gives every module. It has the length that wasmtest.Starts
// wants.
const configuration = "0123456789"

// load starts Envoy with a module from a file.
func load(t *testing.T, bin envoy.Binary, o wasmtest.Options) (*envoy.Proxy, error) {
	t.Helper()
	dir := filepath.Join(suite.dir, bin.Version, strings.ReplaceAll(t.Name(), "/", "_"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(dir, "module.wasm")
	if err := os.WriteFile(module, wasmtest.Encode(o), 0o644); err != nil {
		t.Fatal(err)
	}
	config, err := envoyconf.Render(envoyconf.BuildOptions{
		Upstream:  envoyconf.Address{Port: suite.httpbin},
		Listeners: []envoyconf.Listener{{Filters: []envoyconf.Filter{{Name: "module", Configuration: configuration, Source: envoyconf.Local{Path: module}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := envoy.Start(suite.ctx, envoy.StartOptions{Path: bin.Path, Config: config, Dir: dir})
	if err != nil {
		return nil, fmt.Errorf("load a module: %w", err)
	}
	t.Cleanup(func() {
		if err := proxy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return proxy, nil
}
