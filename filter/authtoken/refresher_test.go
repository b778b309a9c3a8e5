package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func simConfig(t testing.TB, interval time.Duration) *config {
	t.Helper()
	c, err := parseConfig([]byte(fmt.Sprintf(`{"timeout": "2s", "interval": %q}`, interval)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// healthySimulation has an auth service that answers each request at once.
func healthySimulation() *simulation {
	s := newSimulation(func(int) int { return 0 })
	s.healthy = true
	return s
}

func TestRequestLooksForTheFirstToken(t *testing.T) {
	t.Parallel()
	s := healthySimulation()
	a, b := s.addWorker(simConfig(t, 5*time.Second)), s.addWorker(simConfig(t, 7*time.Second))
	if got := b.refresher.current(); got != "" {
		t.Errorf("before any fetch the token is %q", got)
	}
	a.refresher.tick()
	a.answer(s.calls[0])
	if got := b.refresher.current(); got != "token 1" {
		t.Errorf("the token is %q", got)
	}
}

func TestReleaseLetsAnotherWorkerFetchAtOnce(t *testing.T) {
	t.Parallel()
	s := healthySimulation()
	a, b := s.addWorker(simConfig(t, 5*time.Second)), s.addWorker(simConfig(t, 5*time.Second))
	a.refresher.tick()
	b.refresher.tick()
	if s.sent != 1 {
		t.Fatalf("%d requests, want 1: the lease is held", s.sent)
	}
	a.refresher.release()
	b.refresher.tick()
	if s.sent != 2 {
		t.Errorf("%d requests, want 2: the lease was given up", s.sent)
	}
	a.refresher.release() // again; it holds nothing
	a.refresher.tick()
	if s.sent != 2 {
		t.Errorf("%d requests, want 2: the lease is b's", s.sent)
	}
}

func TestLapsedLease(t *testing.T) {
	t.Parallel()
	lapse := 2*second + leaseMargin // simConfig's timeout and the margin

	t.Run("not before its time", func(t *testing.T) {
		t.Parallel()
		s := healthySimulation()
		a, b := s.addWorker(simConfig(t, 5*time.Second)), s.addWorker(simConfig(t, 5*time.Second))
		a.refresher.tick()
		s.clock += lapse - 1
		if next := b.refresher.tick(); s.sent != 1 || next != 1 {
			t.Errorf("1 ns before: %d requests, want 1; next tick in %v, want 1ns", s.sent, time.Duration(next))
		}
		s.clock++
		if b.refresher.tick(); s.sent != 2 {
			t.Errorf("then: %d requests, want 2", s.sent)
		}
	})
	t.Run("is not released by its former holder", func(t *testing.T) {
		t.Parallel()
		s := healthySimulation()
		a, b, c := s.addWorker(simConfig(t, 5*time.Second)), s.addWorker(simConfig(t, 5*time.Second)), s.addWorker(simConfig(t, 5*time.Second))
		a.refresher.tick()
		s.clock += lapse
		b.refresher.tick()
		a.refresher.release()
		c.refresher.tick()
		if s.sent != 2 {
			t.Errorf("%d requests, want 2: b holds the lease", s.sent)
		}
	})
	t.Run("late answer is dropped", func(t *testing.T) {
		t.Parallel()
		s := healthySimulation()
		a, b := s.addWorker(simConfig(t, 5*time.Second)), s.addWorker(simConfig(t, 5*time.Second))
		a.refresher.tick()
		s.clock += lapse
		b.refresher.tick()
		first, second := s.calls[0], s.calls[1]
		b.answer(second)
		a.answer(first)
		if a.refresher.current() != "token 2" || b.refresher.current() != "token 2" {
			t.Errorf("tokens %q and %q, want token 2", a.refresher.current(), b.refresher.current())
		}
		if s.worked != 1 || len(s.failures) != 1 || s.dropped != 1 {
			t.Errorf("%d worked, %d failed, %d dropped; want 1 each", s.worked, len(s.failures), s.dropped)
		}
	})
	t.Run("and then another lease of the same worker", func(t *testing.T) {
		t.Parallel()
		s := healthySimulation()
		a, b := s.addWorker(simConfig(t, 5*time.Second)), s.addWorker(simConfig(t, 5*time.Second))
		a.refresher.tick()
		s.clock += lapse
		a.refresher.tick()
		a.answer(s.calls[0]) // late
		a.refresher.release()
		b.refresher.tick()
		if s.sent != 3 {
			t.Errorf("%d requests, want 3: a gave up the lease of its second", s.sent)
		}
	})
}

// A tick never comes later than the next fetch is due, or than a token of another
// worker must be picked up.
func TestNextTick(t *testing.T) {
	t.Parallel()
	s := healthySimulation()
	a, b := s.addWorker(simConfig(t, 5*time.Second)), s.addWorker(simConfig(t, 5*time.Second))
	for i := range 2 {
		if got := a.refresher.tick(); got != pickUp {
			t.Errorf("%d: while it fetches: next tick in %v, want %v", i, time.Duration(got), time.Duration(pickUp))
		}
		if got := b.refresher.tick(); got != lookOut {
			t.Errorf("%d: while another one fetches: next tick in %v, want %v", i, time.Duration(got), time.Duration(lookOut))
		}
	}
	a.answer(s.calls[0])
	for _, tc := range []struct{ passes, want int64 }{
		{0, second}, {3900 * second / 1000, second}, {second / 2, 600 * second / 1000}, {600*second/1000 - 1, 1}, {1, pickUp},
	} {
		s.clock += tc.passes
		if got := a.refresher.tick(); got != tc.want {
			t.Errorf("%v after the token: next tick in %v, want %v", time.Duration(s.clock-s.lastGood), time.Duration(got), time.Duration(tc.want))
		}
	}
	if s.sent != 2 {
		t.Errorf("%d requests, want 2", s.sent)
	}
}

// In whatever order the workers reach the proxy, exactly one of those that find a fetch
// due does it.
func TestOneWorkerOfManyFetches(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]*record{
		"no record yet":  nil,
		"interval over":  {fetches: 7, token: "token 7", fetchedAt: -20 * second},
		"lease lapsed":   {fetches: 7, leasedAt: -20 * second, leaseTTL: 3 * second},
		"backoff over":   {fetches: 7, failures: 3, failedAt: -20 * second},
		"garbage":        {},
		"clock set back": {fetches: 7, token: "token 7", fetchedAt: 20 * second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runs := 0
			everyChoice(func(choose func(n int) int) {
				runs++
				s := newSimulation(choose)
				s.orderly, s.healthy = true, true
				s.lastGood = s.clock - 20*second
				c := simConfig(t, 5*time.Second)
				if state != nil {
					value := []byte("garbage")
					if name != "garbage" {
						r := *state
						for _, at := range []*int64{&r.leasedAt, &r.failedAt, &r.fetchedAt} {
							if *at != 0 {
								*at += s.clock
							}
						}
						value = r.encode()
					}
					s.data.set(c.key(), value, 0)
				}
				for range 3 {
					w := s.addWorker(c)
					w.begin(w.tick)
				}
				for {
					var busy []*simWorker
					for _, w := range s.workers {
						if w.busy {
							busy = append(busy, w)
						}
					}
					if len(busy) == 0 {
						break
					}
					busy[s.choose(len(busy))].step()
				}
				if len(s.calls) != 1 || len(s.violations) > 0 {
					t.Fatalf("%d workers fetch; %v", len(s.calls), s.violations)
				}
				for _, w := range s.workers {
					want := lookOut
					if w == s.calls[0].worker {
						want = pickUp
					}
					if got := w.nextTick - s.clock; got != want {
						t.Fatalf("worker %d looks again after %v, want %v", w.number, time.Duration(got), time.Duration(want))
					}
				}
			})
			if runs < 1000 {
				t.Fatalf("tried only %d orders", runs)
			}
		})
	}
}

// everyChoice calls run again and again, until it has made every sequence of
// choices that there is.
func everyChoice(run func(choose func(n int) int)) {
	type choice struct{ made, of int }
	var path []choice
	for {
		at := 0
		run(func(n int) int {
			// A healthy auth service's outcome and latency lead to nothing else, so
			// they are no choice.
			if n > 3 {
				return 0
			}
			if at == len(path) {
				path = append(path, choice{0, n})
			}
			at++
			return path[at-1].made
		})
		for len(path) > 0 && path[len(path)-1].made == path[len(path)-1].of-1 {
			path = path[:len(path)-1]
		}
		if len(path) == 0 {
			return
		}
		path[len(path)-1].made++
	}
}

// simulateOrderly: workers may be slow, but not slower than the lease's margin allows,
// and may die, be replaced or join at any time.
func simulateOrderly(t testing.TB, choose func(n int) int) {
	s := newSimulation(choose)
	s.orderly = true
	s.maxStall = leaseMargin / 16 // several add up, each to twice that at most
	s.lastGood = s.clock - 3600*second
	configs := []*config{simConfig(t, 5*time.Second), simConfig(t, 7*time.Second)}
	for range 3 {
		s.addWorker(configs[s.choose(2)])
	}
	s.run(s.clock+60*second, func() { s.disturb(configs) })
	if s.dropped > 0 {
		s.violate("%d answers were dropped although none was late", s.dropped)
	}
	s.checkRecovery()
	report(t, s)
}

// simulateDisorderly: workers hang for longer than a lease lasts, answers come after it,
// and the clock is set forth and back. Then more than one fetch can be under way,
// and the pauses can be short.
func simulateDisorderly(t testing.TB, choose func(n int) int) {
	s := newSimulation(choose)
	s.maxStall = 10 * second
	c := simConfig(t, 5*time.Second)
	for range 3 {
		s.addWorker(c)
	}
	s.run(s.clock+60*second, func() {
		if s.choose(4) == 0 {
			s.clock += (int64(s.choose(8)) - 4) * 5 * second
			return
		}
		s.disturb([]*config{c})
	})
	s.checkRecovery()
	report(t, s)
}

func (s *simulation) disturb(configs []*config) {
	var alive []*simWorker
	for _, w := range s.workers {
		if !w.dead {
			alive = append(alive, w)
		}
	}
	w := alive[s.choose(len(alive))]
	switch s.choose(8) {
	case 0:
		if len(alive) > 1 {
			w.die()
		}
	case 1:
		if len(alive) < 5 {
			s.addWorker(configs[s.choose(len(configs))])
		}
	case 2:
		if !w.busy {
			w.begin(w.replacePlugin)
		}
	case 3:
		s.healthy = !s.healthy
	}
}

// checkRecovery lets everything work for long enough, then checks the result.
func (s *simulation) checkRecovery() {
	s.healthy = true
	s.maxStall = second / 10
	s.finish()
	// The clock may have been set back by 20s again and again. No worker waits longer
	// than that, the longest lease and the longest interval together.
	deadline := s.clock + 60*second
	for before := s.clock; s.lastGood <= before; {
		if s.clock > deadline {
			s.violate("no token in 60s although all is well")
			return
		}
		s.run(s.clock+second/10, nil)
	}
	// Others pick a token up within a second, give or take the stalls.
	s.run(s.clock+pickUp+second/2, nil)
	s.finish()
	for _, w := range s.workers {
		if !w.dead && w.refresher.token != decode(s.data.values[w.refresher.key].value).token {
			s.violate("worker %d still has token %q", w.number, w.refresher.token)
		}
	}
	s.checkLog()
	if s.worked == 0 {
		s.violate("no fetch was counted as one that worked")
	}
}

func report(t testing.TB, s *simulation) {
	t.Helper()
	for _, v := range s.violations {
		t.Error(v)
	}
	for _, w := range s.workers {
		if !w.dead {
			w.die() // ends its goroutine
		}
	}
}

func TestAnyOrder(t *testing.T) {
	t.Parallel()
	for name, simulate := range map[string]func(testing.TB, func(int) int){
		"orderly":    simulateOrderly,
		"disorderly": simulateDisorderly,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(200) {
				r := rand.New(rand.NewPCG(seed, 0))
				simulate(t, r.IntN)
				if t.Failed() {
					t.Fatalf("with seed %d", seed)
				}
			}
		})
	}
}

// The fuzzer's bytes decide what happens next, until they run out.
func FuzzAnyOrder(f *testing.F) {
	f.Add([]byte(nil), false)
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07"), true)
	f.Add([]byte("one after the other, and all over again"), false)
	f.Fuzz(func(t *testing.T, choices []byte, disorderly bool) {
		var seed [8]byte
		copy(seed[:], choices)
		r := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:]), uint64(len(choices))))
		choose := func(n int) int {
			if len(choices) == 0 {
				return r.IntN(n)
			}
			c := int(choices[0]) % n
			choices = choices[1:]
			return c
		}
		if disorderly {
			simulateDisorderly(t, choose)
		} else {
			simulateOrderly(t, choose)
		}
	})
}
