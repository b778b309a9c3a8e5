//go:build !unix

package targets

// interruptSelf does nothing: the system ends the process itself.
func interruptSelf() {}
