package targets

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Manifests name the configured registry and storage. The embedded ones have another
// port each time, so manifests name fixed addresses for them.
func TestPublished(t *testing.T) {
	t.Chdir(t.TempDir())
	module := buildtest.Filter(t, "headers", "").Module

	server := startRegistry(t)
	configured := variables.Values{Registry: server + "/acme"}
	pushTo := func(c variables.Values) string {
		r, done, err := openRegistry(t.Context(), c, "", Output{})
		if err != nil {
			t.Fatal(err)
		}
		images, err := oci.NewImages(build.Release{
			Version: version.MustParse("1.4.0"), Revision: strings.Repeat("0", 40), Created: time.Unix(0, 0),
			Filters: []build.Built{{Filter: catalog.Filter{Metadata: catalog.Metadata{Title: "T", Description: "D.", License: "MIT"}}, Module: module}},
		})
		if err != nil {
			t.Fatal(err)
		}
		published, err := r.Push(t.Context(), images, oci.PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := done(); err != nil {
			t.Fatal(err)
		}
		return published[0].ManifestDigest
	}
	digest := pushTo(variables.Values{})
	if again := pushTo(configured); again != digest {
		t.Fatalf("one module, manifest digests %s and %s", digest, again)
	}
	s, err := openStorage(variables.Values{}, Output{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := storage.Upload(t.Context(), s, storage.UploadOptions{Version: version.MustParse("1.4.0"), Modules: []build.Module{module}}); err != nil {
		t.Fatal(err)
	}
	public := variables.Values{StoragePublicURL: strings.TrimSuffix(s.PublicURL(""), "/")}

	sum := module.WasmSHA256
	for name, test := range map[string]struct {
		config variables.Values
		want   manifest.Source
	}{
		"nothing": {variables.Values{}, manifest.Source{
			Repository: "127.0.0.1:5000/headers", Tag: "1.4.0", ManifestDigest: digest,
			URL: "http://127.0.0.1:5001/headers/1.4.0/headers.wasm", WasmSHA256: sum,
		}},
		"registry": {configured, manifest.Source{
			Repository: configured.Registry + "/headers", Tag: "1.4.0", ManifestDigest: digest, WasmSHA256: sum,
		}},
		"storage": {public, manifest.Source{
			URL: public.StoragePublicURL + "/headers/1.4.0/headers.wasm", WasmSHA256: sum,
		}},
		"both": {variables.Values{Registry: configured.Registry, StoragePublicURL: public.StoragePublicURL}, manifest.Source{
			Repository: configured.Registry + "/headers", Tag: "1.4.0", ManifestDigest: digest,
			URL: public.StoragePublicURL + "/headers/1.4.0/headers.wasm", WasmSHA256: sum,
		}},
	} {
		test.want.Filter, test.want.Version = "headers", "1.4.0"
		got, err := readPublished(t.Context(), test.config, version.MustParse("1.4.0"), []string{"headers"}, oci.RegistryOptions{}, Output{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]manifest.Source{test.want}, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

// TestRenderRefuses: render refuses a configuration that the published module refuses, and writes
// nothing.
func TestRenderRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "filter/headers/main.go", "package main\n")
	write(t, "filter/headers/filter.yaml", "title: T\ndescription: D.\nlicense: MIT\napply:\n  failStrategy: FAIL_CLOSE\n  pluginConfig: {heders: []}\n")
	server := startRegistry(t)
	configured := variables.Values{Registry: server + "/acme"}
	for version, module := range map[string]build.Built{
		"1.0.0": buildtest.Filter(t, "headers", ""),
		"1.1.0": buildtest.Module(t, "headers", wasmtest.Encode(wasmtest.Starts()["false from proxy_on_configure"].Options)),
	} {
		r, done, err := openRegistry(t.Context(), configured, "", Output{})
		if err != nil {
			t.Fatal(err)
		}
		images, err := oci.NewImages(buildtest.Release(version, module))
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Push(t.Context(), images, oci.PushOptions{})
		if err := errors.Join(err, done()); err != nil {
			t.Fatal(err)
		}
	}
	if err := renderManifests(t.Context(), configured, "1.0.0", "", Output{Out: io.Discard, Err: io.Discard}); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll("dist"); err != nil {
		t.Fatal(err)
	}
	err := renderManifests(t.Context(), configured, "1.1.0", "", Output{Out: io.Discard, Err: io.Discard})
	if !errors.Is(err, inspect.ErrRefusesShipped) || !strings.Contains(err.Error(), filepath.Join("headers", "filter.yaml")+": apply.pluginConfig: ") {
		t.Errorf("error is %v", err)
	}
	if entries, _ := filepath.Glob("dist/manifests/*"); len(entries) > 0 {
		t.Errorf("it wrote %v", entries)
	}
}
