// Package foreground helps the commands that run Envoy in a developer's terminal, at addresses
// that the developer types into other programs.
package foreground

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/server"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// Options say where a filter runs. All fields are required.
type Options struct {
	Root                     string // the folder that holds filter/
	Listener, Backend, Admin string // host:port
	Config                   variables.Values
	Out                      io.Writer
}

// Main is the main function of a command. It reads the flags and the environment variables and
// calls run with what follows the flags. Ctrl-C ends run's context.
func Main(name, backend string, run func(context.Context, Options, []string) error) {
	o := Options{Out: os.Stdout}
	flag.StringVar(&o.Root, "root", ".", "the folder that holds filter/")
	flag.StringVar(&o.Listener, "listener", "127.0.0.1:8085", "where Envoy takes requests")
	flag.StringVar(&o.Backend, "backend", "127.0.0.1:8080", "where "+backend+" listens")
	flag.StringVar(&o.Admin, "admin", "127.0.0.1:8001", "where Envoy's admin interface listens")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if o.Config, err = variables.FromEnv(); err == nil {
		err = run(ctx, o, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", Advise(err))
		os.Exit(1) //nolint:gocritic // the process ends, and with it the handler of signals
	}
}

// Addresses are those of Options, parsed.
type Addresses struct{ Listener, Backend, Admin envoyconf.Address }

// CheckFree parses the addresses and checks that they are free. Its error names all that are
// not: Envoy would stop at the first.
func (o Options) CheckFree() (parsed Addresses, err error) {
	var errs []error
	for _, a := range []struct {
		flag, value string
		parsed      *envoyconf.Address
	}{
		{"listener", o.Listener, &parsed.Listener},
		{"backend", o.Backend, &parsed.Backend},
		{"admin", o.Admin, &parsed.Admin},
	} {
		tcp, err := net.ResolveTCPAddr("tcp", a.value)
		if err != nil {
			errs = append(errs, fmt.Errorf("-%s %s: %w", a.flag, a.value, err))
			continue
		}
		*a.parsed = envoyconf.Address{Host: tcp.IP.String(), Port: tcp.Port}
		probe, err := net.Listen("tcp", a.value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; stop what listens there, or choose another address with -%s", a.flag, err, a.flag))
			continue
		}
		errs = append(errs, probe.Close())
	}
	return parsed, errors.Join(errs...)
}

// Site is what a filter's Envoy runs with: a backend, and the services that the filter's scenarios
// script.
type Site struct {
	Envoy envoy.Binary
	// Services are the servers by the names of their clusters.
	Services map[string]*server.Server
	// Dynamic is a folder with further listeners and clusters: see envoyconf.BuildOptions.
	// Default: none.
	Dynamic   string
	addresses Addresses
	backend   *http.Server
}

// Open finds the configured Envoy and starts the rest. The caller closes the site.
func (o Options) Open(ctx context.Context, addresses Addresses, filter catalog.Filter, backend http.Handler) (_ *Site, err error) {
	binary, err := findEnvoy(ctx, o.Config, o.Out)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Backend)
	if err != nil {
		return nil, fmt.Errorf("start the backend: %w", err)
	}
	s := &Site{Envoy: binary, Services: map[string]*server.Server{}, addresses: addresses, backend: &http.Server{Handler: backend, ReadHeaderTimeout: 10 * time.Second}}
	go s.backend.Serve(listener) //nolint:errcheck // ends with Close
	if err := s.serve(filter); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// serve starts the services that the filter's scenarios script, if they name their clusters.
func (s *Site) serve(filter catalog.Filter) error {
	scenarios, err := scenario.Load([]catalog.Filter{filter})
	if err != nil {
		return err
	}
	for _, scenario := range scenarios {
		for _, service := range scenario.Services {
			if service.Cluster == "" || s.Services[service.Cluster] != nil {
				continue
			}
			started, err := server.Start(service.Script, filepath.Dir(scenario.File))
			if err != nil {
				return err
			}
			s.Services[service.Cluster] = started
		}
	}
	return nil
}

// Render renders the configuration of an Envoy that runs one filter.
func (s *Site) Render(filter envoyconf.Filter) ([]byte, error) {
	o := envoyconf.BuildOptions{
		Admin:     s.addresses.Admin,
		Listeners: []envoyconf.Listener{{Address: s.addresses.Listener, Filters: []envoyconf.Filter{filter}}},
		Upstream:  s.addresses.Backend,
		Dynamic:   s.Dynamic,
		// Scenarios look at statistics at once.
		FlushOnAdmin: s.Dynamic != "",
	}
	for _, cluster := range slices.Sorted(maps.Keys(s.Services)) {
		o.Clusters = append(o.Clusters, envoyconf.Cluster{Name: cluster, Address: envoyconf.Address{Port: s.Services[cluster].Port()}})
	}
	return envoyconf.Render(o)
}

// Close stops the backend and the services.
func (s *Site) Close() error {
	err := s.backend.Close()
	for _, service := range s.Services {
		err = errors.Join(err, service.Close())
	}
	return err
}

// CloseInto calls close and adds its error to err: for a defer in a function with a named
// error.
func CloseInto(err *error, close func() error) { *err = errors.Join(*err, close()) }

// Advise adds advice to an error: which variable to set, which target to run. nil stays nil.
func Advise(err error) error {
	return advice.Add(err,
		advice.Row{About: envoy.ErrNotFound, Do: "set ENVOY_PATH to a binary of that version"},
		advice.Row{About: envoy.ErrGiven, Do: "correct ENVOY_PATH, or unset it to have Envoy downloaded"},
	)
}

// findEnvoy finds the configured Envoy, the first version of the matrix. If it has to be
// downloaded, log gets one line for each step.
func findEnvoy(ctx context.Context, c variables.Values, log io.Writer) (envoy.Binary, error) {
	version := ""
	if len(c.EnvoyVersions) > 0 {
		version = c.EnvoyVersions[0]
	}
	o := envoy.FindOptions{Version: version, Path: c.EnvoyPath}
	if bin, err := envoy.Installed(ctx, o); err == nil {
		return bin, nil
	}
	o.Log = log
	return envoy.Find(ctx, o)
}
