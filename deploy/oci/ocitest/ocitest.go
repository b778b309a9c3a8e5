// Package ocitest publishes filters for tests.
package ocitest

import (
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/oci"
)

// Push publishes filters in the registry at an address, with their bills of
// materials.
func Push(t testing.TB, address, version string, shapes []oci.Shape, filters ...build.Built) *oci.Registry {
	t.Helper()
	r, err := oci.Open(oci.RegistryOptions{Address: address + "/acme", Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	release := buildtest.Release(version, filters...)
	images, err := oci.NewImages(release, shapes...)
	if err == nil {
		_, err = r.Push(t.Context(), images, oci.PushOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.AttachSBOMs(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	return r
}
