//go:build unix

package children

import (
	"os"
	"os/exec"
	"syscall"
)

// separate gives a command a process group of its own, in which its children are too.
func separate(cmd *exec.Cmd) {
	attributes(cmd).Setpgid = true
}

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	return cmd.SysProcAttr
}

func signalGroup(process *os.Process, signal os.Signal) error {
	err := syscall.Kill(-process.Pid, signal.(syscall.Signal))
	if err == syscall.ESRCH { //nolint:errorlint // Kill returns no other
		return os.ErrProcessDone
	}
	return err
}
