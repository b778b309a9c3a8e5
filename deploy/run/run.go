package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
)

// options say what to run, and where.
type options struct {
	foreground.Options
	Filter string
	Dist   string // where envoy/<filter>.yaml goes; empty means Root's dist
}

// run runs the filter until ctx ends, which is not an error.
func run(ctx context.Context, o options) (err error) {
	o.Dist = cmp.Or(o.Dist, filepath.Join(o.Root, "dist"))
	addresses, err := o.CheckFree()
	if err != nil {
		return err
	}
	filter, module, err := o.build(ctx)
	if err != nil {
		return err
	}
	dir, remove, err := scratch.Dir("", "run-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = remove()
		}
	}()
	site, err := o.Open(ctx, addresses, filter, backend())
	if err != nil {
		return err
	}
	defer foreground.CloseInto(&err, site.Close)
	storage, err := httpstore.Serve(httpstore.ServeOptions{Dir: filepath.Join(dir, "storage")})
	if err != nil {
		return err
	}
	defer foreground.CloseInto(&err, storage.Close)
	key := filter.Name + ".wasm"
	if err := storage.Add(key, module.Path); err != nil {
		return err
	}

	configuration, err := filter.Metadata.ExampleConfiguration()
	if err != nil {
		return err
	}
	rendered, err := site.Render(envoyconf.Filter{
		Name:          filter.Name,
		Configuration: configuration,
		Source:        envoyconf.Remote{URL: storage.URL(key), SHA256: module.WasmSHA256},
	})
	if err != nil {
		return err
	}
	file := filepath.Join(o.Dist, "envoy", filter.Name+".yaml")
	comment := "# Envoy for the filter " + filter.Name + ". The module's storage is there as long as what rendered this runs.\n"
	if err := writeFile(file, append([]byte(comment), rendered...)); err != nil {
		return err
	}

	proxy, err := envoy.Start(ctx, envoy.StartOptions{
		Path:   site.Envoy.Path,
		Config: rendered,
		Dir:    filepath.Join(dir, "envoy"),
		OnLine: func(line string) {
			if envoy.Relevant(line) {
				fmt.Fprintln(o.Out, line)
			}
		},
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer foreground.CloseInto(&err, proxy.Stop)
	fmt.Fprintf(o.Out, `
%[1]s runs in Envoy %[2]s.
  backend        http://%[3]s/hello
%[4]s  module         %[5]s
  configuration  %[6]s
  admin          http://%[7]s
  log            %[8]s, of which warnings and what the filter logs show here

Try:

  curl -i http://%[9]s/hello

Ctrl-C ends everything.

`, filter.Name, site.Envoy.Version, o.Backend, services(site), storage.URL(key), file, o.Admin, proxy.LogFile(), o.Listener)

	select {
	case <-ctx.Done():
		return nil
	case <-proxy.Done():
		return errors.New("the proxy has ended")
	}
}

// build compiles the filter.
func (o options) build(ctx context.Context) (catalog.Filter, build.Module, error) {
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(o.Root, "filter"), Names: []string{o.Filter}})
	if err != nil {
		return catalog.Filter{}, build.Module{}, err
	}
	modules, err := build.Build(ctx, build.Options{
		Filters:       filters,
		Dist:          filepath.Join(o.Root, "dist"),
		Compiler:      o.Config.Compiler,
		GoToolchain:   o.Config.GoToolchain,
		TinyGoVersion: o.Config.TinyGoVersion,
		Out:           o.Out,
	})
	if err != nil {
		return catalog.Filter{}, build.Module{}, err
	}
	return filters[0], modules[0], nil
}

// services has a line for each service.
func services(site *foreground.Site) string {
	var lines strings.Builder
	for _, cluster := range slices.Sorted(maps.Keys(site.Services)) {
		fmt.Fprintf(&lines, "  service        http://127.0.0.1:%d, the cluster %s\n", site.Services[cluster].Port(), cluster)
	}
	return lines.String()
}

// backend answers /hello.
func backend() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hola mundo :)") })
	return mux
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(path, content, 0o644)
}
