// Package stats parses Envoy's statistics. It does not fetch them: the admin interface of a
// proxy in a cluster is reached in another way than the one of a proxy on this machine.
package stats

import (
	"strconv"
	"strings"
)

// Parse returns the counters and gauges in an admin interface's answer to /stats. It leaves
// out histograms and texts.
func Parse(text string) map[string]uint64 {
	stats := map[string]uint64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			stats[name] = n
		}
	}
	return stats
}
