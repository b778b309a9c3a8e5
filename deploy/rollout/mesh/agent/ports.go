//go:build linux

package agent

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// Istio knows no port 0, and a port that the kernel gave out and took back may become
// the next connection's. So ports come from below the range that the kernel gives out:
// https://docs.kernel.org/networking/ip-sysctl.html (ip_local_port_range)
const firstPort, lastPort = 10000, 32000

// nextPort is where the next search begins. It differs from process to process.
var nextPort atomic.Int32

func init() { nextPort.Store(rand.Int32N(lastPort - firstPort)) }

// FreePorts returns n different ports that nobody listens on.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range lastPort - firstPort {
		port := firstPort + int(nextPort.Add(1))%(lastPort-firstPort)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return nil, err
		}
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports between %d and %d: there are %d", n, firstPort, lastPort, len(ports))
}
