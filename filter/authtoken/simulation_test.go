package main

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// sharedData is Envoy's shared data. set does what SharedData::set does.
// https://github.com/proxy-wasm/proxy-wasm-cpp-host/blob/main/src/shared_data.cc
type sharedData struct {
	values map[string]sharedValue
	last   uint32 // the number of the value that was set last, under any key
}

type sharedValue struct {
	value []byte
	cas   uint32
}

func (d *sharedData) set(key string, value []byte, cas uint32) bool {
	if old, ok := d.values[key]; ok && cas != 0 && cas != old.cas {
		return false
	}
	if d.last++; d.last == 0 {
		d.last++
	}
	d.values[key] = sharedValue{bytes.Clone(value), d.last}
	return true
}

// simulation runs the refreshers of several workers against one sharedData and
// an auth service, on a simulated clock. Every call of a refresher to its host is
// a point at which any other worker may run: choose decides.
type simulation struct {
	choose func(n int) int // returns a number from 0 to n-1
	// orderly says that at most one fetch is under way, and that none begins before it
	// is due.
	orderly bool
	// maxStall is about how long a worker may be held up within a callback, or a
	// tick or an answer wait until the worker gets to it.
	maxStall int64

	clock   int64
	data    sharedData
	workers []*simWorker
	calls   []*simCall // under way
	sent    int        // requests, which are also the numbers of the tokens
	healthy bool       // whether the auth service answers every request with a token

	log      []string
	worked   int
	dropped  int      // answers that came too late
	lastGood int64    // when the last token arrived
	failures []simEnd // since then
	unended  bool     // whether the last fetch has begun and its end is not written down

	violations []string
}

// simEnd is when and how a fetch ended.
type simEnd struct {
	at     int64
	unsent bool
}

// simCall is a request to the auth service.
type simCall struct {
	worker         *simWorker
	answerAt       int64
	token, problem string
	done           func(token, problem string)
}

func newSimulation(choose func(n int) int) *simulation {
	return &simulation{
		choose: choose,
		clock:  1_700_000_000 * second,
		data:   sharedData{values: map[string]sharedValue{}},
	}
}

func (s *simulation) violate(format string, args ...any) {
	s.violations = append(s.violations, fmt.Sprintf("%.3fs: ", float64(s.clock%(1_000_000*second))/1e9)+fmt.Sprintf(format, args...))
}

// simWorker is a worker of the proxy, the host of one refresher. Its callbacks
// run one after the other, each in a goroutine that stops before every call to
// the host until step lets it go on.
type simWorker struct {
	sim       *simulation
	number    int
	config    *config
	refresher *refresher
	nextTick  int64

	busy, dead     bool
	busySince      int64
	ended          simEnd // of the fetch it is about to write down
	resume, parked chan struct{}
}

func (s *simulation) addWorker(c *config) *simWorker {
	w := &simWorker{sim: s, number: len(s.workers), config: c, resume: make(chan struct{}), parked: make(chan struct{})}
	w.startPlugin()
	s.workers = append(s.workers, w)
	return w
}

func (w *simWorker) startPlugin() {
	w.refresher = newRefresher(w.config, w)
	w.nextTick = w.sim.clock + int64(time.Millisecond)
}

// begin starts a callback, up to its first call to the host.
func (w *simWorker) begin(callback func()) {
	w.busy, w.busySince = true, w.sim.clock
	go func() {
		defer func() {
			w.busy = false
			w.parked <- struct{}{}
		}()
		<-w.resume
		callback()
	}()
	w.step()
}

// step lets the callback go on up to its next call to the host, or its end.
func (w *simWorker) step() {
	w.resume <- struct{}{}
	<-w.parked
}

func (w *simWorker) pause() {
	if !w.busy {
		return // newRefresher, which runs outside of callbacks
	}
	w.parked <- struct{}{}
	<-w.resume
	if w.dead {
		runtime.Goexit()
	}
}

func (w *simWorker) tick() {
	w.nextTick = w.sim.clock + w.refresher.tick()
}

func (w *simWorker) answer(c *simCall) {
	// The call counts as in flight until the worker has handled the answer.
	defer w.sim.cancel(func(other *simCall) bool { return other == c })
	w.ended = simEnd{w.sim.clock, false}
	c.done(c.token, c.problem)
}

// replacePlugin is what a reload of the configuration does.
func (w *simWorker) replacePlugin() {
	w.refresher.release()
	w.cancelCalls()
	w.startPlugin()
}

// die ends the worker, even within a callback, without telling the others.
func (w *simWorker) die() {
	w.dead = true
	w.cancelCalls()
	if w.busy {
		w.step()
	}
}

func (w *simWorker) cancelCalls() {
	w.sim.cancel(func(c *simCall) bool { return c.worker == w })
}

func (s *simulation) cancel(which func(*simCall) bool) {
	kept := s.calls[:0:0]
	for _, c := range s.calls {
		if !which(c) {
			kept = append(kept, c)
		}
	}
	s.calls = kept
}

func (w *simWorker) now() int64 {
	w.pause()
	return w.sim.clock
}

func (w *simWorker) load(key string) ([]byte, uint32, bool) {
	w.pause()
	v, ok := w.sim.data.values[key]
	return bytes.Clone(v.value), v.cas, ok
}

func (w *simWorker) store(key string, value []byte, cas uint32) bool {
	w.pause()
	before, after := decode(w.sim.data.values[key].value), decode(value)
	if !w.sim.data.set(key, value, cas) {
		return false
	}
	if tokenNumber(after.token) < tokenNumber(before.token) {
		w.sim.violate("worker %d put token %q in the place of %q", w.number, after.token, before.token)
	}
	if after.fetches < before.fetches {
		w.sim.violate("worker %d took the number of fetches from %d back to %d", w.number, before.fetches, after.fetches)
	}
	return true
}

// tokenNumber returns the number of the request that brought a token.
func tokenNumber(token string) (n int) {
	_, _ = fmt.Sscanf(token, "token %d", &n)
	return n
}

func (w *simWorker) fetch(done func(token, problem string)) string {
	s := w.sim
	if s.orderly {
		if len(s.calls) > 0 {
			s.violate("worker %d fetches while worker %d does", w.number, s.calls[0].worker.number)
		}
		// A fetch that was cut off may be repeated at once.
		if !s.unended {
			s.checkPause(w)
		}
	}
	s.unended = true
	outcome := s.choose(6)
	if s.healthy {
		outcome = 0
	}
	timeout := int64(w.config.timeout)
	if outcome == 5 {
		w.ended = simEnd{s.clock, true}
		return "not sent"
	}
	s.sent++
	c := &simCall{worker: w, done: done, answerAt: s.clock + timeout*int64(s.choose(8))/8}
	switch outcome {
	case 3:
		c.problem = "status 500"
	case 4:
		c.problem, c.answerAt = "no answer", s.clock+timeout
	default:
		c.token = fmt.Sprintf("token %d", s.sent)
	}
	s.calls = append(s.calls, c)
	return ""
}

// checkPause reports a fetch that begins too early.
func (s *simulation) checkPause(w *simWorker) {
	n := len(s.failures)
	if n == 0 {
		if pause := s.clock - s.lastGood; pause < int64(w.config.interval) {
			s.violate("worker %d fetches %v after a token arrived", w.number, time.Duration(pause))
		}
		return
	}
	last := s.failures[n-1]
	if last.unsent && last.at < w.refresher.began {
		return
	}
	want := min(time.Second<<min(n-1, 20), w.config.interval)
	if pause := time.Duration(s.clock - last.at); pause < want {
		s.violate("worker %d fetches %v after failure %d, want %v", w.number, pause, n, want)
	}
}

func (w *simWorker) count(worked bool) {
	w.sim.unended = false
	if worked {
		w.sim.worked++
		w.sim.lastGood, w.sim.failures = w.ended.at, nil
	} else {
		w.sim.failures = append(w.sim.failures, w.ended)
	}
}

func (w *simWorker) debug(message string) {
	if strings.Contains(message, "too late") {
		w.sim.dropped++
	}
}
func (w *simWorker) info(message string) { w.sim.log = append(w.sim.log, message) }
func (w *simWorker) warn(message string) { w.sim.log = append(w.sim.log, message) }

// run runs until the clock reaches end. Now and then it calls disturb, which may do
// anything to the workers.
func (s *simulation) run(end int64, disturb func()) {
	for s.clock < end {
		type action func()
		var actions []action
		next := end // when the next thing can be done, if nothing can be done now
		stalled := false
		for _, w := range s.workers {
			switch {
			case w.dead:
			case w.busy:
				actions = append(actions, w.step)
				stalled = stalled || s.clock-w.busySince >= s.maxStall
			case w.nextTick <= s.clock:
				actions = append(actions, func() { w.begin(w.tick) })
				stalled = stalled || s.clock-w.nextTick >= s.maxStall
			default:
				next = min(next, w.nextTick)
			}
		}
		for _, c := range s.calls {
			switch {
			case c.worker.busy:
			case c.answerAt <= s.clock:
				actions = append(actions, func() { c.worker.begin(func() { c.worker.answer(c) }) })
				stalled = stalled || s.clock-c.answerAt >= s.maxStall
			default:
				next = min(next, c.answerAt)
			}
		}
		switch pick := s.choose(len(actions) + 1); {
		case pick < len(actions):
			actions[pick]()
		case len(actions) == 0:
			s.clock = max(next, s.clock+1)
		case s.choose(16) == 0 && disturb != nil:
			disturb()
		case !stalled:
			// Time passes while work is pending.
			s.clock += 1 + s.maxStall*int64(s.choose(8))/8
		}
	}
}

// finish ends what is under way.
func (s *simulation) finish() {
	for _, w := range s.workers {
		for w.busy {
			w.step()
		}
	}
}

// checkLog reports messages that do not alternate.
func (s *simulation) checkLog() {
	state := "new"
	for _, message := range s.log {
		was := state
		switch {
		case strings.Contains(message, "got the first token") && was == "new",
			strings.Contains(message, "gives tokens again") && was == "failing":
			state = "ok"
		case strings.Contains(message, "authtoken: no token from") && was == "new",
			strings.Contains(message, "authtoken: no new token from") && was == "ok":
			state = "failing"
		default:
			s.violate("logged %q while %s, in %q", message, was, s.log)
			return
		}
	}
}
