// Package envoytest helps tests that start Envoy and other programs: it collects what
// a program prints, finds an address to listen on, and polls until a condition holds.
package envoytest

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// Output collects what a program prints. It may be used by several goroutines, and
// its zero value is empty.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to what was printed.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is what was printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// FreeAddress is an address on loopback, host:port, that nobody listens on.
func FreeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := listener.Addr().String()
	return address, listener.Close()
}

// MustFreeAddress is FreeAddress in a test, which fails without one.
func MustFreeAddress(t testing.TB) string {
	t.Helper()
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
