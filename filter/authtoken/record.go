package main

import "encoding/binary"

// record is what the workers of one proxy share about one token. It is one value in the
// proxy's shared data, so that a single compare-and-swap moves it from one state to the
// next.
type record struct {
	fetches   uint64 // how many fetches were begun; the number of the latest one
	leasedAt  int64  // when the latest fetch began; 0 once it is over
	leaseTTL  int64  // how long after leasedAt no other worker may begin one
	failures  uint64 // how many fetches failed since the last that worked
	failedAt  int64  // when the last of them did
	unsent    bool   // whether that was because the proxy did not send the request
	fetchedAt int64  // when token arrived
	token     string // "" before the first
}

// Times are nanoseconds since 1970, durations nanoseconds.
const (
	second = int64(1_000_000_000)

	// clockStep is how far the clock may be behind a time in the record before it
	// counts as set back. A smaller step is waited out: it delays a fetch, but never
	// causes a second one.
	clockStep = second

	// firstBackoff is the pause after the first failure in a row; each further
	// one doubles it, up to the interval.
	firstBackoff = second
)

// wait returns how long from now the next fetch is due, or 0 if it is due now. began is
// when the worker began, and interval is its interval.
//
// A time in the future means that the clock was set back. Waiting for it could take for
// ever, so the fetch is due. A worker also ignores a failure from before it began if the
// proxy could not even send that request: Envoy starts the plugin on its main thread
// first, where clusters that are not warm yet are missing. It starts its workers only
// once all clusters are there.
func (r *record) wait(now, began, interval int64) int64 {
	since, pause := r.fetchedAt, interval
	switch {
	case r.leasedAt != 0:
		since, pause = r.leasedAt, r.leaseTTL
	case r.failures > 0:
		if r.unsent && r.failedAt < began {
			return 0
		}
		since, pause = r.failedAt, backoff(r.failures, interval)
	case r.token == "":
		return 0
	}
	elapsed := now - since
	if elapsed < -clockStep {
		return 0
	}
	return max(0, pause-elapsed)
}

// leasedBy reports whether the lease belongs to the fetch with this number, even if the
// lease has lapsed.
func (r *record) leasedBy(fetch uint64) bool {
	return r.leasedAt != 0 && r.fetches == fetch
}

// backoff returns the pause after a number of failures in a row.
func backoff(failures uint64, interval int64) int64 {
	pause := firstBackoff
	for ; failures > 1 && pause < interval; failures-- {
		pause *= 2
	}
	return min(pause, interval)
}

const recordHeader = 7 * 8 // bytes before the token

// encode returns the form that decode reads: seven numbers of 64 bits, little-endian,
// and the token. If you change the form, change the number in config.key too, because
// versions of this filter can run side by side.
func (r *record) encode() []byte {
	b := make([]byte, 0, recordHeader+len(r.token))
	b = binary.LittleEndian.AppendUint64(b, r.fetches)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.leasedAt))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.leaseTTL))
	b = binary.LittleEndian.AppendUint64(b, r.failures)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.failedAt))
	unsent := uint64(0)
	if r.unsent {
		unsent = 1
	}
	b = binary.LittleEndian.AppendUint64(b, unsent)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.fetchedAt))
	return append(b, r.token...)
}

// decode returns the record in b, or an empty one if b holds none. Only this filter
// writes to its key, so starting over is the best it can do with anything else.
func decode(b []byte) record {
	if len(b) < recordHeader {
		return record{}
	}
	return record{
		fetches:   binary.LittleEndian.Uint64(b),
		leasedAt:  int64(binary.LittleEndian.Uint64(b[8:])),
		leaseTTL:  int64(binary.LittleEndian.Uint64(b[16:])),
		failures:  binary.LittleEndian.Uint64(b[24:]),
		failedAt:  int64(binary.LittleEndian.Uint64(b[32:])),
		unsent:    binary.LittleEndian.Uint64(b[40:]) != 0,
		fetchedAt: int64(binary.LittleEndian.Uint64(b[48:])),
		token:     string(b[recordHeader:]),
	}
}
