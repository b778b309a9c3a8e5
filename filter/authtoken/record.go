package main

import "encoding/binary"

// record is what the workers of one proxy know together about one token. It is
// one value in the proxy's shared data, so that a single compare-and-swap moves
// it from one state to the next.
type record struct {
	fetches   uint64 // how many fetches were begun; the number of the latest one
	leasedAt  int64  // when the latest fetch began; 0 once it is over
	leaseTTL  int64  // for how long, from leasedAt, nobody else begins one
	failures  uint64 // how many fetches failed since the last that worked
	failedAt  int64  // when the last of them did
	unsent    bool   // whether that was because the proxy did not send the request
	fetchedAt int64  // when token arrived
	token     string // "" before the first
}

// Times are nanoseconds since 1970, durations nanoseconds.
const (
	second = int64(1_000_000_000)

	// clockStep is how far the clock may be behind a time in the record before
	// the clock is taken to have been set back. Less is waited out: that is what
	// it costs to have no second fetch then.
	clockStep = second

	// firstBackoff is the pause after the first failure in a row; each further
	// one doubles it, up to the interval.
	firstBackoff = second
)

// wait returns how long from now the next fetch is due, 0 if it is due now, for a
// worker that began at a time and fetches at an interval.
//
// A time that lies in the future means that the clock was set back; waiting for
// it could take for ever, so the fetch is due. A worker does not wait because of a
// request that could not even be sent before it began: Envoy starts the plugin on
// its main thread first, where clusters that are not warm yet are missing, and its
// workers only once they are all there.
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

// leasedBy reports whether the lease belongs to the fetch with this number, be it
// in time or not.
func (r *record) leasedBy(fetch uint64) bool {
	return r.leasedAt != 0 && r.fetches == fetch
}

// backoff returns the pause after so many failures in a row.
func backoff(failures uint64, interval int64) int64 {
	pause := firstBackoff
	for ; failures > 1 && pause < interval; failures-- {
		pause *= 2
	}
	return min(pause, interval)
}

const recordHeader = 7 * 8 // bytes before the token

// encode returns the form that decode reads: seven numbers of 64 bits,
// little-endian, and the token. Whoever changes it changes the number in
// config.key too, because versions of this filter can run side by side.
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

// decode returns the record in b, or an empty one if b is none: nothing but this
// filter writes to its key, so that there is nothing better to do with it than
// to begin anew.
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
