package soak

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Envoy %s, %v: %d reloads, %d changes of the services\n", r.Envoy, r.Duration, r.Reloads, r.Flaps)
	for _, kind := range slices.Sorted(maps.Keys(r.Requests)) {
		fmt.Fprintf(&b, "  %-18s %9d\n", kind, r.Requests[kind])
	}
	if third := len(r.Memory) / 3; third > 0 {
		fmt.Fprintf(&b, "memory, the median of each third: %d, %d and %d MiB; highest %d MiB\n",
			median(r.Memory[:third])>>20, median(r.Memory[third:2*third])>>20, median(r.Memory[len(r.Memory)-third:])>>20,
			slices.Max(r.Memory)>>20)
	}
	return b.String()
}
