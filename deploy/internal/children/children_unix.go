//go:build unix

package children

import (
	"os"
	"os/exec"
	"strconv"
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

// guard is the shell that becomes the command. Before that, it starts another shell in the same
// process group, which reads from a pipe that only this process can write to, and nobody does.
// So the read ends when this process has ended. Then it ends the group (kill 0), to which it
// belongs itself. It holds none of the command's files, because a pipe ends when the last who
// holds it does.
//
// The kernel's parent-death signal would reach the command alone, and not what that started: a
// killed "go test" leaves its tests running. It also follows a thread, and exists on Linux only.
const guard = `(
trap "" INT TERM HUP
read -r never <&3
kill -TERM 0
sleep "$1"
kill -KILL 0
) </dev/null >/dev/null 2>&1 &
shift
exec 3<&-
exec "$@"`

// startGuarded starts a command whose group does not outlive this process. The caller calls end
// when nobody of the group is left.
func startGuarded(cmd *exec.Cmd) (end func(), err error) {
	if cmd.Err != nil {
		return nil, cmd.Err // it was not found
	}
	alive, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	path, args, files := cmd.Path, cmd.Args, cmd.ExtraFiles
	cmd.Path = "/bin/sh"
	cmd.Args = append([]string{"sh", "-c", guard, "sh", strconv.Itoa(int(cleanUp.Seconds())), path}, args[1:]...)
	cmd.ExtraFiles = []*os.File{alive}
	err = cmd.Start()
	cmd.Path, cmd.Args, cmd.ExtraFiles = path, args, files // for messages
	_ = alive.Close()                                      // the group has its own
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	return func() { _ = write.Close() }, nil
}

func signalGroup(process *os.Process, signal os.Signal) error {
	err := syscall.Kill(-process.Pid, signal.(syscall.Signal))
	if err == syscall.ESRCH { //nolint:errorlint // Kill returns no other
		return os.ErrProcessDone
	}
	return err
}
