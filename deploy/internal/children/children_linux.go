package children

import (
	"os/exec"
	"syscall"
)

func follow(cmd *exec.Cmd) { attributes(cmd).Pdeathsig = syscall.SIGTERM }
