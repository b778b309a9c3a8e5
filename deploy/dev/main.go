// Dev runs a filter in real Envoy while its author works on it. At every save it builds the
// filter, and Envoy loads it without a restart.
//
//	go run ./deploy/dev [flags] FILTER
//
// FILTER is a folder below filter/. It runs in front of an httpbin, with the example
// configuration of its filter.yaml, which is watched, too. If a build fails, or Envoy refuses
// the module or the configuration, Envoy keeps what it has. Ctrl-C stops everything.
//
// The environment variables are those of package deploy/variables, and NO_COLOR.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/fatih/color"

	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

func main() {
	if err := command(); err != nil {
		fmt.Fprintln(os.Stderr, "dev:", foreground.Advise(err))
		os.Exit(1)
	}
}

func command() error {
	// NoColor is also true if standard output is not a terminal.
	o := options{Out: os.Stdout, Color: !color.NoColor}
	flag.StringVar(&o.Root, "root", ".", "the folder that holds filter/")
	flag.StringVar(&o.Listener, "listener", "127.0.0.1:8085", "where Envoy takes requests")
	flag.StringVar(&o.Backend, "backend", "127.0.0.1:8080", "where httpbin listens")
	flag.StringVar(&o.Admin, "admin", "127.0.0.1:8001", "where Envoy's admin interface listens")
	flag.Parse()
	if flag.NArg() != 1 {
		return errors.New("give one filter, a folder below filter/")
	}
	o.Filter = flag.Arg(0)
	var err error
	if o.Config, err = variables.FromEnv(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return dev(ctx, o)
}
