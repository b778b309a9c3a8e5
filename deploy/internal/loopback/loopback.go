// Package loopback tells addresses of this machine from others.
package loopback

import (
	"net"
	"net/netip"
	"strings"
)

// Host reports whether a host, with or without a port, is this machine: localhost
// or a loopback address. It asks no name server.
func Host(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
