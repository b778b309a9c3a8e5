package purl_test

import (
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/purl"
)

// The URLs are in signed statements, and in bills of materials that are found by their digest.
// So they must never change.
func TestGoModule(t *testing.T) {
	t.Parallel()
	for want, module := range map[string][2]string{
		"pkg:golang/std@1.22.12": {"std", "1.22.12"},
		"pkg:golang/github.com/tetratelabs/proxy-wasm-go-sdk@v0.24.0":     {"github.com/tetratelabs/proxy-wasm-go-sdk", "v0.24.0"},
		"pkg:golang/github.com/Masterminds/semver/v3@v3.4.0":              {"github.com/Masterminds/semver/v3", "v3.4.0"},
		"pkg:golang/github.com/docker/docker@v28.0.0%2Bincompatible":      {"github.com/docker/docker", "v28.0.0+incompatible"},
		"pkg:golang/git.sr.ht/~acme/x@v0.0.0-20260102030405-0123456789ab": {"git.sr.ht/~acme/x", "v0.0.0-20260102030405-0123456789ab"},
	} {
		if got := purl.GoModule(module[0], module[1]); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got, want := purl.Generic("tinygo", "0.41.1"), "pkg:generic/tinygo@0.41.1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
