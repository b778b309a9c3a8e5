//go:build unix

package targets

import "syscall"

// interruptSelf does what Ctrl-C does.
func interruptSelf() { _ = syscall.Kill(syscall.Getpid(), syscall.SIGINT) }
