// Package stats reads Envoy's statistics, however one got at them: the admin interface
// of a proxy in a cluster is reached another way than that of one on this machine.
package stats

import (
	"strconv"
	"strings"
)

// Parse reads the counters and gauges in what an admin interface answers to /stats.
// Histograms and texts are left out.
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
