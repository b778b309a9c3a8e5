package targets

import "syscall"

// tellOfDeath asks the kernel for SIGTERM when the process that started this one is gone.
//
// Reference: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
func tellOfDeath() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0)
}
