// Package foreground helps the commands that run Envoy in a developer's terminal, at addresses
// that the developer types into other programs.
package foreground

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
)

// AuthCluster is the cluster of the auth service that the filter authtoken calls by default.
const AuthCluster = "my_custom_svc"

// Address is an address given by a flag.
type Address struct {
	Flag  string // without the hyphen
	Value string // host:port
	// Parsed is set by CheckFree.
	Parsed *envoyconf.Address
}

// CheckFree parses the addresses and checks that they are free. Its error names all that are
// not: Envoy would stop at the first.
func CheckFree(addresses ...Address) error {
	var errs []error
	for _, a := range addresses {
		tcp, err := net.ResolveTCPAddr("tcp", a.Value)
		if err != nil {
			errs = append(errs, fmt.Errorf("-%s %s: %w", a.Flag, a.Value, err))
			continue
		}
		*a.Parsed = envoyconf.Address{Host: tcp.IP.String(), Port: tcp.Port}
		probe, err := net.Listen("tcp", a.Value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; stop what listens there, or choose another address with -%s", a.Flag, err, a.Flag))
			continue
		}
		errs = append(errs, probe.Close())
	}
	return errors.Join(errs...)
}

// Serve serves a handler at an address, host:port, until close is called.
func Serve(address string, handler http.Handler) (close func() error, err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("start the backend: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	return server.Close, nil
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

// FindEnvoy finds the configured Envoy, the first version of the matrix. If it has to be
// downloaded, log gets one line for each step.
func FindEnvoy(ctx context.Context, c variables.Values, log io.Writer) (envoy.Binary, error) {
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
