//go:build !linux

package children

import "os/exec"

// follow does nothing: only Linux tells a process that its parent is gone.
func follow(*exec.Cmd) {}
