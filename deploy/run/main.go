// Run runs a filter in real Envoy, in front of a small backend, for a person to try:
//
//	go run ./deploy/run [flags] [FILTER]
//
// FILTER is a folder below filter/. The default is requestlog. The filter gets the example
// configuration of its filter.yaml. Ctrl-C stops everything.
//
// The environment variables are those of
// package deploy/variables.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

func main() {
	if err := command(); err != nil {
		fmt.Fprintln(os.Stderr, "run:", foreground.Advise(err))
		os.Exit(1)
	}
}

func command() error {
	var o runOptions
	flag.StringVar(&o.Root, "root", ".", "the folder that holds filter/")
	flag.StringVar(&o.Listener, "listener", "127.0.0.1:8085", "where Envoy takes requests")
	flag.StringVar(&o.Backend, "backend", "127.0.0.1:8080", "where the backend listens")
	flag.StringVar(&o.Admin, "admin", "127.0.0.1:8001", "where Envoy's admin interface listens")
	flag.Parse()
	switch flag.NArg() {
	case 0:
		o.Filter = "requestlog"
	case 1:
		o.Filter = flag.Arg(0)
	default:
		return fmt.Errorf("give one filter, not %q", flag.Args())
	}
	var err error
	if o.Config, err = variables.FromEnv(); err != nil {
		return err
	}
	o.Out = os.Stdout
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, o)
}
