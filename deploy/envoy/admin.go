package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// AdminURL is the base URL of the admin interface, without a trailing slash.
func (p *Proxy) AdminURL() string { return p.adminURL }

// Get returns the admin interface's answer to path, which begins with a slash. An answer other
// than 200 is an error.
func (p *Proxy) Get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.adminURL+path, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("ask Envoy's admin interface: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask Envoy's admin interface: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", fmt.Errorf("ask Envoy's admin interface for %s: %w", path, err)
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask Envoy's admin interface for %s: %s: %s", path, res.Status, body)
	}
	return string(body), nil
}

// Stats returns the counters and gauges of /stats by name.
func (p *Proxy) Stats(ctx context.Context) (map[string]uint64, error) {
	text, err := p.Get(ctx, "/stats")
	if err != nil {
		return nil, err
	}
	stats := map[string]uint64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if n, err := strconv.ParseUint(value, 10, 64); err == nil { // else a histogram or a text
			stats[name] = n
		}
	}
	return stats, nil
}

// ListenerURL returns the http URL of the listener with the given name. The URL has the port
// on which it actually listens, and no trailing slash.
func (p *Proxy) ListenerURL(ctx context.Context, name string) (string, error) {
	text, err := p.Get(ctx, "/listeners?format=json")
	if err != nil {
		return "", err
	}
	// https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/admin/v3/listeners.proto
	var listeners struct {
		Statuses []struct {
			Name         string
			LocalAddress struct {
				SocketAddress struct {
					Address   string
					PortValue int `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal([]byte(text), &listeners); err != nil {
		return "", fmt.Errorf("read Envoy's listeners: %w", err)
	}
	for _, l := range listeners.Statuses {
		if l.Name == name {
			a := l.LocalAddress.SocketAddress
			return "http://" + net.JoinHostPort(a.Address, strconv.Itoa(a.PortValue)), nil
		}
	}
	return "", fmt.Errorf("find listener %q: not among Envoy's: %s", name, text)
}
