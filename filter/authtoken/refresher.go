package main

import (
	"math"
	"strconv"

	"github.com/slipway-wasm/slipway/filter/conf"
)

// host is what a refresher needs of the proxy.
type host interface {
	// now returns the time, from a clock that all workers share.
	now() int64
	// load returns the value at a key of the shared data with the number to
	// compare it by.
	load(key string) (value []byte, cas uint32, found bool)
	// store sets the value at a key, or does nothing and returns false if cas is
	// not the number of the value there. See createOnly for absent keys.
	store(key string, value []byte, cas uint32) bool
	// fetch asks the auth service for a token. It either returns why it could not send
	// the request, or calls done later, in this worker, with a token or a problem. If
	// the plugin ends first, it may never call done.
	fetch(done func(token, problem string)) (unsent string)
	// count counts a fetch that worked or failed.
	count(worked bool)

	debug(message string)
	info(message string)
	warn(message string)
}

// createOnly is a compare-and-swap number that creates a key but never overwrites one.
// The proxy ignores the number of an absent key. It numbers values from 1, in the order
// in which any worker sets any of them, and takes 0 as "overwrite". So 0 looks natural
// for an absent key, but would let two workers create it one after the other, and both
// would believe that they hold the lease. createOnly is the highest number there is,
// which no value has before the four billionth write.
// https://github.com/proxy-wasm/proxy-wasm-cpp-host/blob/main/src/shared_data.cc
const createOnly = math.MaxUint32

const (
	// pickUp is the longest time between two looks at the record. A worker may keep
	// an old token for that long after another worker has fetched a new one.
	pickUp = second

	// lookOut is the time between two looks while another worker fetches. All workers
	// notice at the same time that a fetch is due, so a new token usually reaches the
	// others within this time.
	lookOut = second / 20

	// leaseMargin is how much longer than the fetch's timeout the lease lasts:
	// time for a busy worker to get to the answer.
	leaseMargin = second

	// storeTries bounds how often a worker tries to write the end of a fetch. It needs
	// a second try only if another worker took over an expired lease in between, and
	// the second try then detects that.
	storeTries = 4
)

// refresher keeps the token of one plugin in one worker. It takes turns with the
// refreshers of all other workers that have the same key:
//
//  1. All share one record in the proxy's shared data. Every change is a
//     compare-and-swap from the record that was read to the next one.
//  2. When a fetch is due, each tries to write itself into the record as the
//     holder of the lease. The one whose write goes through fetches.
//  3. The answer is written only if the record still names this very fetch; the
//     lease ends with the same write. A token or a failure moves the time at
//     which the next fetch is due.
//  4. A lease that is not ended in time, because its worker died or its plugin
//     was replaced, lapses by the clock, and the next fetch is due.
//  5. Each looks at the record once a second, more often while another one
//     fetches, and with each request for as long as there is no token.
type refresher struct {
	host     host
	cluster  string // for messages
	key      string
	began    int64
	interval int64
	leaseTTL int64

	token   string // the last one seen in the record, "" if none
	fetches uint64 // the number of the fetch under way here, 0 if none
}

func newRefresher(c *config, h host) *refresher {
	return &refresher{
		host:     h,
		cluster:  c.cluster,
		key:      c.key(),
		began:    h.now(),
		interval: int64(c.interval),
		leaseTTL: int64(c.timeout) + leaseMargin,
	}
}

// current returns the token, "" before the first.
func (r *refresher) current() string {
	if r.token == "" {
		r.load()
	}
	return r.token
}

// tick fetches if a fetch is due and no other worker is fetching. It returns how long
// from now to call it again.
func (r *refresher) tick() int64 {
	rec, cas := r.load()
	// The time is read after the record, so that it cannot be older than the times in
	// the record.
	now := r.host.now()
	if wait := rec.wait(now, r.began, r.interval); wait > 0 {
		if rec.leasedAt != 0 && !rec.leasedBy(r.fetches) {
			return min(wait, lookOut)
		}
		return min(wait, pickUp)
	}
	rec.fetches++
	rec.leasedAt, rec.leaseTTL = now, r.leaseTTL
	if !r.store(rec, cas) {
		return lookOut
	}
	r.fetch(rec.fetches)
	return pickUp
}

func (r *refresher) fetch(number uint64) {
	r.fetches = number
	unsent := r.host.fetch(func(token, problem string) { r.finish(number, token, problem, false) })
	if unsent != "" {
		r.finish(number, "", unsent, true)
	}
}

// finish writes down how the fetch with this number ended: with a token, or else
// with a problem, which may be that the request was not sent.
func (r *refresher) finish(number uint64, token, problem string, unsent bool) {
	if r.fetches == number {
		r.fetches = 0
	}
	for range storeTries {
		rec, cas := r.load()
		if !rec.leasedBy(number) {
			// The answer came after the lease lapsed, so a later fetch is under way
			// or done, and this answer may be older than what that one brings.
			break
		}
		before := rec
		now := r.host.now()
		rec.leasedAt = 0
		if problem == "" {
			rec.token, rec.fetchedAt, rec.failures = token, now, 0
		} else {
			rec.failures, rec.failedAt, rec.unsent = rec.failures+1, now, unsent
		}
		if !r.store(rec, cas) {
			continue
		}
		r.token = rec.token
		r.host.count(problem == "")
		r.report(&before, problem)
		return
	}
	r.host.count(false)
	r.host.debug("authtoken: an answer from cluster " + conf.Quote(r.cluster) + " came too late and was dropped")
}

// release gives up the lease of a fetch under way here that will not end because the
// plugin is going away. Other workers then need not wait for the lease to lapse.
func (r *refresher) release() {
	if r.fetches == 0 {
		return
	}
	rec, cas := r.load()
	if rec.leasedBy(r.fetches) {
		rec.leasedAt = 0
		r.store(rec, cas) // if it fails, another worker has changed the record already
	}
	r.fetches = 0
}

// report logs the end of a fetch if refreshing began to fail or to work with it. Only
// one worker's write makes that change, so the message appears once for all workers.
func (r *refresher) report(before *record, problem string) {
	cluster := "cluster " + conf.Quote(r.cluster)
	switch {
	case problem == "" && before.failures > 0:
		r.host.info("authtoken: " + cluster + " gives tokens again, failed fetches in between: " + strconv.FormatUint(before.failures, 10))
	case problem == "" && before.token == "":
		r.host.info("authtoken: got the first token from " + cluster)
	case problem == "":
	case before.failures > 0:
		r.host.debug("authtoken: still no new token from " + cluster + ": " + problem)
	case before.token == "":
		r.host.warn("authtoken: no token from " + cluster + ": " + problem + "; none is sent until a fetch works, tried again after 1s, 2s, 4s and so on up to the interval")
	default:
		r.host.warn("authtoken: no new token from " + cluster + ": " + problem + "; the last one is sent until a fetch works, tried again after 1s, 2s, 4s and so on up to the interval")
	}
}

// load reads the record and takes over the token in it. cas is what store needs.
func (r *refresher) load() (rec record, cas uint32) {
	value, cas, found := r.host.load(r.key)
	if !found {
		return record{}, createOnly
	}
	rec = decode(value)
	if rec.token != "" {
		r.token = rec.token
	}
	return rec, cas
}

func (r *refresher) store(rec record, cas uint32) bool {
	return r.host.store(r.key, rec.encode(), cas)
}
