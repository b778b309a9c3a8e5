package oci

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"

	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// testRelease returns a release of a version. It is the same at each call.
func testRelease(text string, filters ...build.Built) build.Release {
	return build.Release{
		Version:     version.MustParse(text),
		Filters:     filters,
		Revision:    "0123456789abcdef0123456789abcdef01234567",
		Source:      "https://github.com/acme/filters",
		Created:     time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC),
		EnvoyTested: "1.36.4",
	}
}

// testFilter writes a module that Envoy loads, with the given content in a custom
// section, and returns it like one that was built.
func testFilter(t testing.TB, name, content string) build.Built {
	t.Helper()
	options := wasmtest.Filter()
	options.Custom = content
	return testModule(t, name, wasmtest.Encode(options))
}

func testModule(t testing.TB, name string, wasm []byte) build.Built {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return moduleAt(path, name, wasm)
}

// moduleAt returns the module in a file, like one that was built.
func moduleAt(path, name string, wasm []byte) build.Built {
	report, err := inspect.Module(context.Background(), wasm)
	if err != nil {
		report = &inspect.Report{}
	}
	return build.Built{
		Module: build.Module{Path: path, Record: build.Record{
			RecordVersion: build.RecordVersion,
			Name:          name,
			WasmSHA256:    checksum.Bytes(wasm),
			Size:          int64(len(wasm)),
			Compiler:      build.Toolchain{Name: "tinygo", Version: "0.41.1", GoVersion: "go1.22.12"},
			Modules: []build.GoModule{
				{Path: "github.com/acme/filters"},
				{Path: "github.com/tetratelabs/proxy-wasm-go-sdk", Version: "v0.24.0"},
			},
			Report: *report,
		}},
		Filter: catalog.Filter{Name: name, Metadata: catalog.Metadata{Title: "The " + name + " filter", Description: "It does what a test needs.", License: "Apache-2.0"}},
	}
}

// startRegistry runs the embedded registry until the test ends and returns its
// address.
func startRegistry(t testing.TB, opts embedded.Options) string {
	t.Helper()
	opts.Dir = t.TempDir()
	r, err := embedded.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r.Addr()
}

// startWithoutReferrers runs a registry without the referrers API until the test ends
// and returns its address.
func startWithoutReferrers(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// openTest opens the registry at an address, with waits that suit a test.
func openTest(t testing.TB, address string) *Registry {
	t.Helper()
	return openWith(t, RegistryOptions{Address: address + "/acme"})
}

func openWith(t testing.TB, opts RegistryOptions) *Registry {
	t.Helper()
	opts.Retry.Delay = time.Millisecond
	r, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// images builds the images of filters.
func images(t testing.TB, filters []build.Built, release build.Release, shapes ...Shape) []*Image {
	t.Helper()
	release.Filters = filters
	images, err := NewImages(release, shapes...)
	if err != nil {
		t.Fatal(err)
	}
	return images
}

// push publishes, and fails the test on an error.
func push(t testing.TB, r *Registry, version string, filters ...build.Built) []Published {
	t.Helper()
	published, err := r.Push(t.Context(), images(t, filters, testRelease(version), Shapes...), PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return published
}

// digestOf returns the manifest digest of a tag; empty if the tag is absent.
func digestOf(t testing.TB, r *Registry, filter, tag string) string {
	t.Helper()
	repo, err := r.repository(filter)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := r.resolve(t.Context(), repo, tag)
	if finding.Absent(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return desc.Digest.String()
}
