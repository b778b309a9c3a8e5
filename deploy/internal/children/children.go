// Package children makes the programs that this one starts end with it, and with everything that
// they started in turn.
package children

import (
	"bytes"
	"os"
	"os/exec"
	"time"
)

// cleanUp is how long an interrupted program may take to end. mage waits 5 seconds for all of
// them.
const cleanUp = 3 * time.Second

// Follow has a command told when this process is killed, on Linux: it gets SIGTERM. Call it
// before the command starts.
func Follow(cmd *exec.Cmd) { follow(cmd) }

// Run runs a command. When its context ends, the command and everything that it started are
// interrupted, and killed if they do not end. Nothing that it started outlives it, nor this
// process, however that ends; on Windows only the command itself is ended.
func Run(cmd *exec.Cmd) error {
	separate(cmd)
	cmd.WaitDelay = cleanUp
	cmd.Cancel = func() error { return signalGroup(cmd.Process, os.Interrupt) }
	end, err := startGuarded(cmd)
	if err != nil {
		return err
	}
	defer end()
	defer func() { _ = signalGroup(cmd.Process, os.Kill) }() // usually nobody is left
	return cmd.Wait()
}

// Output does what Run does, and returns what the command prints to standard output.
func Output(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout = &out
	err := Run(cmd)
	return out.Bytes(), err
}
