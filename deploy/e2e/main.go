// E2e plays the scenarios of a repository's filters in real Envoys.
//
//	go run ./deploy/e2e [flags]
//
// Each filter runs as the module in -dist, byte for byte, which Envoy fetches by URL and
// sha256. Each one is also started with exactly what its rendered manifests carry. The table of
// results goes to standard output, and to e2e.json and e2e.xml (JUnit) in the folder -results.
//
// The environment variables are those of package deploy/variables.
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
		fmt.Fprintln(os.Stderr, "e2e:", foreground.Advise(err))
		os.Exit(1)
	}
}

func command() error {
	o := options{Out: os.Stdout}
	flag.StringVar(&o.Root, "root", ".", "the folder that holds filter/")
	flag.StringVar(&o.Dist, "dist", "dist", "the folder that holds the modules")
	flag.StringVar(&o.Results, "results", "dist", "the folder for e2e.json and e2e.xml")
	flag.StringVar(&o.Run, "run", "", "a regular expression for filter/scenario; default: all")
	flag.Parse()
	var err error
	if o.Config, err = variables.FromEnv(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return e2e(ctx, o)
}
