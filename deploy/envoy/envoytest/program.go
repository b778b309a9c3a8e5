// Package envoytest helps tests that start Envoy and other programs: it collects what
// a program prints, finds an address to listen on, and polls until a condition holds.
package envoytest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Output collects what a program prints. It is safe for concurrent use, and its zero value is
// empty.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the output.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns the output so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// FreeAddress returns a loopback address, host:port, on which nothing listens.
//
// Its port is below those that systems hand out to whoever asks for any (Linux: from
// 32768 on, ip_local_port_range): a proxy that starts meanwhile does not get it.
func FreeAddress() (address string, err error) {
	for range 100 {
		address = fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		var listener net.Listener
		if listener, err = net.Listen("tcp", address); err == nil {
			return address, listener.Close()
		}
	}
	return "", err
}

// MustFreeAddress does the same for a test, which fails if there is none.
func MustFreeAddress(t testing.TB) string {
	t.Helper()
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
