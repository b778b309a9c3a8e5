//go:build !linux

// Command mesh rolls filters out in a mesh of plain processes, on Linux.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "Istio's agent is made for Linux, and this is %s; run it in a Linux container or virtual machine\n", runtime.GOOS)
	os.Exit(1)
}
