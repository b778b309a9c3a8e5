//go:build !tinygo

// This file is empty. It lets the package declare functions without bodies,
// which host_go.go pulls by go:linkname.
