package main

import (
	"math"
	"testing"
	"time"
)

func TestWait(t *testing.T) {
	t.Parallel()
	const now = 1_700_000_000 * second
	at := func(ago float64) int64 { return now - int64(ago*1e9) }
	for _, tc := range []struct {
		name  string
		rec   record
		began float64 // seconds ago
		want  time.Duration
	}{
		{name: "nothing yet", want: 0},
		{name: "fresh token", rec: record{token: "t", fetchedAt: at(4)}, want: 11 * time.Second},
		{name: "token as old as the interval", rec: record{token: "t", fetchedAt: at(15)}, want: 0},
		{name: "old token", rec: record{token: "t", fetchedAt: at(1e6)}, want: 0},
		{name: "lease", rec: record{fetches: 1, leasedAt: at(1), leaseTTL: 6 * second}, want: 5 * time.Second},
		{name: "lease counts before all else", rec: record{token: "t", fetchedAt: at(4), failures: 1, failedAt: at(0), leasedAt: at(1), leaseTTL: 3 * second}, want: 2 * time.Second},
		{name: "lapsed lease", rec: record{fetches: 1, leasedAt: at(6), leaseTTL: 6 * second}, want: 0},
		{name: "first failure", rec: record{failures: 1, failedAt: at(0.25)}, want: 750 * time.Millisecond},
		{name: "failure counts before the token", rec: record{token: "t", fetchedAt: at(15), failures: 3, failedAt: at(1)}, want: 3 * time.Second},
		{name: "many failures", rec: record{failures: 50, failedAt: at(0)}, want: 15 * time.Second},
		{name: "endless failures", rec: record{failures: math.MaxUint64, failedAt: at(0)}, want: 15 * time.Second},
		{name: "not sent, before this worker began", rec: record{failures: 3, failedAt: at(2), unsent: true}, began: 1, want: 0},
		{name: "not sent, after this worker began", rec: record{failures: 3, failedAt: at(2), unsent: true}, began: 3, want: 2 * time.Second},
		{name: "sent, before this worker began", rec: record{failures: 3, failedAt: at(2)}, began: 1, want: 2 * time.Second},
		{name: "clock a little behind", rec: record{token: "t", fetchedAt: at(-0.5)}, want: 15500 * time.Millisecond},
		{name: "clock set back, token", rec: record{token: "t", fetchedAt: at(-2)}, want: 0},
		{name: "clock set back, lease", rec: record{fetches: 1, leasedAt: at(-2), leaseTTL: 6 * second}, want: 0},
		{name: "clock set back, failure", rec: record{failures: 9, failedAt: at(-2)}, want: 0},
	} {
		if got := time.Duration(tc.rec.wait(now, at(tc.began), 15*second)); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures, want := range []time.Duration{1: 1, 2: 2, 3: 4, 4: 8, 5: 15, 6: 15} {
		if failures == 0 {
			continue
		}
		if got := time.Duration(backoff(uint64(failures), 15*second)); got != want*time.Second {
			t.Errorf("after %d failures %v, want %v", failures, got, want*time.Second)
		}
	}
	if got := backoff(1, second); got != second {
		t.Errorf("with an interval of 1s: %v", time.Duration(got))
	}
}

func FuzzRecord(f *testing.F) {
	whole := record{1, 2, 3, 4, 5, true, 6, "token"}
	f.Add(whole.encode())
	f.Add(whole.encode()[:recordHeader])
	f.Add(whole.encode()[:recordHeader-1])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := decode(b)
		if len(b) < recordHeader && r != (record{}) {
			t.Errorf("read %+v out of %d bytes", r, len(b))
		}
		if len(b) >= recordHeader && r.token != string(b[recordHeader:]) {
			t.Errorf("read token %q out of %q", r.token, b)
		}
		if again := decode(r.encode()); again != r {
			t.Errorf("%+v became %+v", r, again)
		}
	})
}

func TestRecordKeepsAllFields(t *testing.T) {
	t.Parallel()
	for _, r := range []record{
		{},
		{fetches: 1}, {leasedAt: 1}, {leaseTTL: 1}, {failures: 1}, {failedAt: 1}, {unsent: true}, {fetchedAt: 1}, {token: "t"},
		{math.MaxUint64, math.MaxInt64, math.MinInt64, math.MaxUint64, -1, true, -1, "\x00"},
	} {
		if got := decode(r.encode()); got != r {
			t.Errorf("%+v became %+v", r, got)
		}
	}
}
