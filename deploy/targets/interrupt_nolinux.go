//go:build !linux

package targets

// tellOfDeath does nothing: only Linux tells a process that its parent is gone.
func tellOfDeath() {}
