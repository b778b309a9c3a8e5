package oci

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

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
	published, err := r.Push(t.Context(), images(t, filters, buildtest.Release(version), Shapes...), PushOptions{})
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
