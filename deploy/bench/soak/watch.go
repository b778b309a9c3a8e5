package soak

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// watcher looks for VMs that failed, in what Envoy writes.
type watcher struct {
	mu    sync.Mutex
	first string
	count int
}

// line takes one line of the log. Filters log at most warnings here, so a worse message
// about wasm comes from Envoy or V8.
func (w *watcher) line(line string) {
	worse := strings.Contains(line, "][error][") || strings.Contains(line, "][critical][")
	if !worse || !strings.Contains(line, "wasm") {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 {
		w.first = line
	}
	w.count++
}

func (w *watcher) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 {
		return nil
	}
	return fmt.Errorf("a VM or a filter failed, %d lines in the log; the first one: %s", w.count, w.first)
}

// Memory may grow from one third of the soak to the next by a tenth, and by 16 MiB in
// any case: tcmalloc keeps pages of what was freed, and V8 collects when it likes.
const (
	tolerance        = 0.1
	toleranceAtLeast = 16 << 20
)

// growth compares the last third of the samples with the one before. The first one
// warms up.
func growth(samples []uint64) error {
	third := len(samples) / 3
	if third == 0 {
		return fmt.Errorf("memory was seen only %d times; soak for longer", len(samples))
	}
	before, after := median(samples[third:2*third]), median(samples[len(samples)-third:])
	limit := before + max(uint64(float64(before)*tolerance), toleranceAtLeast)
	if after > limit {
		return fmt.Errorf("memory grows: %d MiB in the second third, %d MiB in the last one; at most %d MiB is noise",
			before>>20, after>>20, limit>>20)
	}
	return nil
}

func median(samples []uint64) uint64 {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[len(sorted)/2]
}
