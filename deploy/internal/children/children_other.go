//go:build !unix

package children

import (
	"os"
	"os/exec"
)

func separate(*exec.Cmd) {}

// startGuarded starts a command.
func startGuarded(cmd *exec.Cmd) (end func(), err error) { return func() {}, cmd.Start() }

// signalGroup kills the process: there are no groups here, and no interrupts.
func signalGroup(process *os.Process, _ os.Signal) error { return process.Kill() }
