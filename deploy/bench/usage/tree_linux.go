package usage

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// list reads one small file for each process. Gopsutil reads several, which takes so
// long that it would be measured too.
func list() ([]relative, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var processes []relative
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		if p, ok := parseStat(stat); ok {
			p.pid = pid
			processes = append(processes, p)
		}
	}
	return processes, nil
}

// parseStat reads a process's parent and memory. Before them is its name, which may
// hold blanks and parentheses.
//
// Reference: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func parseStat(stat []byte) (p relative, ok bool) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const (
		state  = 3 // the first one after the name
		parent = 4
		pages  = 24
	)
	if len(fields) <= pages-state {
		return p, false
	}
	ppid, err := strconv.Atoi(string(fields[parent-state]))
	if err != nil {
		return p, false
	}
	rss, err := strconv.ParseUint(string(fields[pages-state]), 10, 64)
	return relative{parent: ppid, rss: rss * uint64(os.Getpagesize())}, err == nil
}
