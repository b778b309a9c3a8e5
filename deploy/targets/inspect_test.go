package targets

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// A module has the same description wherever it is read from.
func TestInspect(t *testing.T) {
	project(t)
	run(t, func(o Output) error { return push(t.Context(), variables.Values{}, "1.0.0", o) })
	server := httptest.NewServer(http.FileServer(http.Dir("dist")))
	t.Cleanup(server.Close)
	var sum string
	for _, what := range []string{filepath.Join("dist", "headers.wasm"), server.URL + "/headers.wasm", "headers:1.0.0"} {
		i := runJSON[inspection](t, func(o Output) error { return inspectModule(t.Context(), variables.Values{}, what, o) })
		if sum == "" {
			sum = i.WasmSHA256
		}
		if i.WasmSHA256 != sum || i.ABI != "0.2.0" || len(i.Sections) == 0 || len(i.Envoys) == 0 || !i.Envoys[0].Loads {
			t.Errorf("%s: %+v", what, i)
		}
		if len(i.Consumers) < 3 || (i.Registry != nil) != (what == "headers:1.0.0") {
			t.Errorf("%s: consumers %+v, registry %+v", what, i.Consumers, i.Registry)
		}
		if i.Registry != nil && i.Registry.Annotations[oci.AnnotationWasmSHA256] != sum {
			t.Errorf("%s: annotations %v", what, i.Registry.Annotations)
		}
		text := run(t, func(o Output) error { return inspectModule(t.Context(), variables.Values{}, what, o) })
		for _, want := range []string{what + "\n", sum, "proxy-wasm ABI  0.2.0", "\nSections\n", "proxy_on_context_create", "Envoy 1.26 and later  yes", "accepts"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in\n%s", what, want, text)
			}
		}
	}
	// The credentials in a URL appear nowhere.
	secret := strings.Replace(server.URL, "http://", "http://user:s3cret@", 1) + "/headers.wasm?signature=s3cret"
	for _, json := range []bool{true, false} {
		shown := run(t, func(o Output) error { o.JSON = json; return inspectModule(t.Context(), variables.Values{}, secret, o) })
		if strings.Contains(shown, "s3cret") || !strings.Contains(shown, server.URL+"/headers.wasm") {
			t.Errorf("JSON %t: %s", json, shown)
		}
	}
	for _, what := range []string{
		"https://user:s3cret@127.0.0.1:1/a.wasm?signature=s3cret", strings.Replace(secret, "headers", "none", 1), "https://user:s3#cret@[::1/",
		"user:s3cret@ghcr.io/acme/headers:1.0.0", "user:s3cret@ghcr.io/acme/headers",
	} {
		err := inspectModule(t.Context(), variables.Values{}, what, Output{Out: &strings.Builder{}, Err: &strings.Builder{}})
		if err == nil || strings.Contains(err.Error(), "s3") {
			t.Errorf("%s: error is %v", what, err)
		}
	}
	// Consumers that run Envoy refuse a module that no Envoy loads.
	options := wasmtest.Filter()
	options.Imports = []wasmtest.Func{{Module: "env", Name: "abort", Signature: "iiii:"}}
	for what, wasm := range map[string]wasmtest.Options{"script.wasm": options, "ends.wasm": wasmtest.Starts()["proc_exit in _start"].Options} {
		write(t, what, string(wasmtest.Encode(wasm)))
		i := runJSON[inspection](t, func(o Output) error { return inspectModule(t.Context(), variables.Values{}, what, o) })
		for _, v := range i.Consumers {
			if v.Answer != oci.Refuses || v.Reason != "no Envoy loads the module" {
				t.Errorf("%s: %+v", what, v)
			}
		}
	}
	// The text also has the remarks about how the module starts.
	for what, want := range map[string]string{
		"proc_exit in _start":             "no _start calls wasi_snapshot_preview1.proc_exit, which Envoy forbids there",
		"false from proxy_on_configure":   "but needs a configuration proxy_on_configure refuses an empty configuration, and logs nothing",
		"trap in proxy_on_context_create": "but cannot work proxy_on_context_create traps: unreachable",
	} {
		write(t, "start.wasm", string(wasmtest.Encode(wasmtest.Starts()[what].Options)))
		if text := run(t, func(o Output) error { return inspectModule(t.Context(), variables.Values{}, "start.wasm", o) }); !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("%s: %q is missing in\n%s", what, want, text)
		}
	}
	for what, want := range map[string]string{
		"missing.wasm":            "no such file; give a file, a URL, or a reference",
		"filter":                  "is a directory",
		"headers:9.9.9":           "read ",
		server.URL + "/none.wasm": "404",
		"filter/headers/main.go":  "not a valid WebAssembly module",
	} {
		if err := inspectModule(t.Context(), variables.Values{}, what, Output{Out: &lines{act: func(string) {}}, Err: &lines{act: func(string) {}}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q in it", what, err, want)
		}
	}
}

// Only consumers that follow redirects can use a URL that redirects.
func TestInspectRedirect(t *testing.T) {
	project(t)
	server := httptest.NewServer(http.FileServer(http.Dir("dist")))
	t.Cleanup(server.Close)
	moved := httptest.NewServer(http.RedirectHandler(server.URL+"/headers.wasm", http.StatusMovedPermanently))
	t.Cleanup(moved.Close)
	i := runJSON[inspection](t, func(o Output) error { return inspectModule(t.Context(), variables.Values{}, moved.URL, o) })
	if i.Redirect != server.URL+"/headers.wasm" {
		t.Errorf("redirect %q", i.Redirect)
	}
	for _, v := range i.Consumers {
		want := oci.Accepts
		if v.Consumer == "plain Envoy" {
			want = oci.Refuses
		}
		if v.Answer != want || (want == oci.Refuses && !strings.Contains(v.Reason, "follows no redirect")) {
			t.Errorf("%+v", v)
		}
	}
}
