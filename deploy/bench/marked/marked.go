// Package marked reads what is measured of filters: the proxy and the first request of the
// scenario that is marked for it.
package marked

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/server"
)

// Subject is a filter with the scenario that it is measured with.
type Subject struct {
	// Name is the filter's name.
	Name string
	// Scenario is the marked one. A filter that has none is measured as its manifests run it,
	// with GET /get.
	Scenario scenario.Scenario
	// Plugins are the scenario's filters, in order.
	Plugins []scenario.Plugin
	// Servers are its services.
	Servers server.Servers
}

// Subjects are the subjects of a repository, with their running services.
type Subjects []Subject

// Read reads the scenarios of filters and starts their services. Close ends them.
func Read(filters []catalog.Filter) (Subjects, error) {
	all, err := scenario.Load(filters)
	if err != nil {
		return nil, err
	}
	var subjects Subjects
	for _, f := range filters {
		s := Subject{Name: f.Name, Scenario: scenario.AsShipped(f)}
		if i := slices.IndexFunc(all, func(sc scenario.Scenario) bool { return sc.Filter == f.Name && sc.Bench }); i >= 0 {
			s.Scenario = all[i]
		}
		if s.Plugins, err = s.Scenario.Plugins(filters); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", s.Scenario.File, err), subjects.Close())
		}
		if s.Servers, err = server.StartServices(&s.Scenario); err != nil {
			return nil, errors.Join(err, subjects.Close())
		}
		subjects = append(subjects, s)
	}
	return subjects, nil
}

// Close ends the services.
func (s Subjects) Close() error {
	var errs []error
	for _, subject := range s {
		errs = append(errs, subject.Servers.Close())
	}
	return errors.Join(errs...)
}

// Named returns the subject with the filter's name.
func (s Subjects) Named(name string) (Subject, bool) {
	i := slices.IndexFunc(s, func(subject Subject) bool { return subject.Name == name })
	if i < 0 {
		return Subject{}, false
	}
	return s[i], true
}

// Request is the request that is measured.
func (s Subject) Request() scenario.Request { return *s.Scenario.Steps[0].Request }

// Status is the status of its answer.
func (s Subject) Status() int {
	if r := s.Scenario.Steps[0].Expect.Response; r != nil && r.Status != 0 {
		return int(r.Status)
	}
	return http.StatusOK
}

// Clusters are the clusters of the services.
func (s Subject) Clusters() []envoyconf.Cluster {
	var clusters []envoyconf.Cluster
	for name, started := range s.Servers {
		clusters = append(clusters, envoyconf.Cluster{Name: s.cluster(name), Address: envoyconf.Address{Port: started.Port()}})
	}
	return clusters
}

func (s Subject) cluster(service string) string {
	if name := s.Scenario.Cluster(service); name != "" {
		return name
	}
	return s.Name + "." + service
}

// Filters configure the scenario's filters, with their modules by the filters' names.
func (s Subject) Filters(source func(filter string) envoyconf.Source) ([]envoyconf.Filter, error) {
	var filters []envoyconf.Filter
	for _, p := range s.Plugins {
		p, err := p.Expand(func(service string) (string, bool) { return s.cluster(service), true })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Scenario.File, err)
		}
		f := envoyconf.Filter{Name: p.Filter, Source: source(p.Filter), Configuration: p.Configuration, VMConfiguration: p.VMConfiguration}
		f.Environment, f.HostEnvironment = p.Environment()
		filters = append(filters, f)
	}
	return filters, nil
}

// Body is the body of the request.
func (s Subject) Body() ([]byte, error) {
	return server.Body(s.Request().Body, filepath.Dir(s.Scenario.File))
}
