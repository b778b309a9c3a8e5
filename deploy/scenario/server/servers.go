package server

import (
	"errors"
	"path/filepath"

	"github.com/mccutchen/go-httpbin/v2/httpbin"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// Servers are the servers of a scenario, by the names of its services. The empty name is the
// upstream.
type Servers map[string]*Server

// StartServices starts the services of a scenario. If one does not start, none runs.
func StartServices(s *scenario.Scenario) (Servers, error) {
	servers := Servers{}
	for name, service := range s.Services {
		started, err := Start(service.Script, filepath.Dir(s.File))
		if err != nil {
			return nil, errors.Join(err, servers.Close())
		}
		servers[name] = started
	}
	return servers, nil
}

// StartAll starts the services of a scenario and its upstream, which is an httpbin unless the
// scenario scripts it. If one does not start, none runs.
func StartAll(s *scenario.Scenario) (Servers, error) {
	servers, err := StartServices(s)
	if err != nil {
		return nil, err
	}
	var upstream *Server
	if s.Upstream != nil {
		upstream, err = Start(*s.Upstream, filepath.Dir(s.File))
	} else {
		upstream, err = Record(httpbin.New())
	}
	if err != nil {
		return nil, errors.Join(err, servers.Close())
	}
	servers[""] = upstream
	return servers, nil
}

// Close stops all of them.
func (s Servers) Close() error {
	var errs []error
	for _, server := range s {
		errs = append(errs, server.Close())
	}
	return errors.Join(errs...)
}
