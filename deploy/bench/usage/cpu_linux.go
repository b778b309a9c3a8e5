package usage

import (
	"time"

	"golang.org/x/sys/unix"
)

// CPU is what a process has used of the processors so far, in nanoseconds. /proc
// has it in steps of 10 ms only, which a short round would drown in.
//
// The clock's number is what clock_getcpuclockid(3) returns: MAKE_PROCESS_CPUCLOCK of
// the kernel's include/linux/posix-timers_types.h with CPUCLOCK_SCHED.
func CPU(pid int) (time.Duration, error) {
	const cpuClockSched = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuClockSched), &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}
