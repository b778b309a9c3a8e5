package soak

import (
	"strings"
	"testing"
	"time"
)

// series has n samples that begin at some MiB and grow by so many for each sample.
func series(n int, begin, each float64) []uint64 {
	var s []uint64
	for i := range n {
		s = append(s, uint64((begin+float64(i)*each)*(1<<20)))
	}
	return s
}

func TestGrowth(t *testing.T) {
	t.Parallel()
	warm := append(series(100, 50, 1), series(200, 150, 0)...)
	spike := series(300, 150, 0)
	spike[250] = 900 << 20
	for _, tc := range []struct {
		name    string
		samples []uint64
		grows   bool
	}{
		{"flat", series(300, 150, 0), false},
		{"warms up, then flat", warm, false},
		{"one spike", spike, false},
		{"within the noise", series(300, 150, 0.1), false},
		{"grows", series(300, 150, 0.3), true},
		{"grows in a large process", series(300, 1000, 0.5), false},
		{"grows much in a large process", series(300, 1000, 2), true},
		{"shrinks", series(300, 500, -1), false},
	} {
		if err := growth(tc.samples); (err != nil) != tc.grows {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if err := growth(nil); err == nil {
		t.Error("nothing was seen, and that is fine")
	}
}

func TestWatcher(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	w.line("[2026-01-01 00:00:00.000][1][warning][wasm] [x.cc:1] wasm log authtoken: authtoken: no new token")
	w.line("[2026-01-01 00:00:00.000][1][error][config] [x.cc:1] something else")
	if err := w.failure(); err != nil {
		t.Error(err)
	}
	const crash = "[2026-01-01 00:00:00.000][1][error][wasm] [x.cc:1] Function: proxy_on_request_headers failed: Uncaught RuntimeError: unreachable"
	w.line(crash)
	w.line("[2026-01-01 00:00:00.000][1][critical][wasm] [x.cc:1] Plugin configured to fail closed")
	if err := w.failure(); err == nil || !strings.Contains(err.Error(), crash) || !strings.Contains(err.Error(), "2 lines") {
		t.Errorf("got %v", err)
	}
}

func TestTooShort(t *testing.T) {
	t.Parallel()
	if _, err := Run(t.Context(), Options{Duration: time.Second}); err == nil || !strings.Contains(err.Error(), "30s") {
		t.Errorf("got %v", err)
	}
}
