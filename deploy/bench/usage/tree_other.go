//go:build !linux

package usage

import "github.com/shirou/gopsutil/v4/process"

func list() ([]relative, error) {
	all, err := process.Processes()
	if err != nil {
		return nil, err
	}
	var processes []relative
	for _, p := range all {
		parent, err := p.Ppid()
		if err != nil {
			continue // it has ended
		}
		memory, err := p.MemoryInfo()
		if err != nil {
			continue
		}
		processes = append(processes, relative{int(p.Pid), int(parent), memory.RSS})
	}
	return processes, nil
}
