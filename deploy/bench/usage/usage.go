// Package usage reads what another process uses of the machine.
package usage

import (
	"fmt"

	"github.com/shirou/gopsutil/v4/process"
)

// RSS is a process's resident memory in bytes.
func RSS(pid int) (uint64, error) {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	memory, err := p.MemoryInfo()
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	return memory.RSS, nil
}
