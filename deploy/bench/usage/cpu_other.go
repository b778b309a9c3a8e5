//go:build !linux

package usage

import (
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// CPU is what a process has used of the processors so far.
func CPU(pid int) (time.Duration, error) {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return 0, err
	}
	times, err := p.Times()
	if err != nil {
		return 0, err
	}
	return time.Duration((times.User + times.System) * float64(time.Second)), nil
}
