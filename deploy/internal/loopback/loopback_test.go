package loopback_test

import (
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/loopback"
)

func TestHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost":             true,
		"localhost:5000":        true,
		"127.0.0.1":             true,
		"127.1.2.3:5000":        true,
		"::1":                   true,
		"[::1]":                 true,
		"[::1]:5000":            true,
		"::ffff:127.0.0.1":      true,
		"":                      false,
		"localhost.example.com": false,
		"127.0.0.1.example.com": false,
		"10.0.0.1:5000":         false,
		"[fe80::1]:5000":        false,
		"ghcr.io":               false,
	} {
		if got := loopback.Host(host); got != want {
			t.Errorf("Host(%q) = %t, want %t", host, got, want)
		}
	}
}
