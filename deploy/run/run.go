package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoy/authservice"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// runOptions say what to run, and where. All fields are required.
type runOptions struct {
	Filter                   string
	Listener, Backend, Admin string // host:port
	Root                     string // the repository's folder
	Dist                     string // where envoy/<filter>.yaml goes; empty means Root's dist
	Config                   variables.Values
	Out                      io.Writer
}

// run runs the filter until ctx ends, which is not an error.
func run(ctx context.Context, o runOptions) (err error) {
	if o.Dist == "" {
		o.Dist = filepath.Join(o.Root, "dist")
	}
	var listener, upstream, admin envoyconf.Address
	err = foreground.CheckFree(
		foreground.Address{Flag: "listener", Value: o.Listener, Parsed: &listener},
		foreground.Address{Flag: "backend", Value: o.Backend, Parsed: &upstream},
		foreground.Address{Flag: "admin", Value: o.Admin, Parsed: &admin},
	)
	if err != nil {
		return err
	}
	filter, module, err := o.build(ctx)
	if err != nil {
		return err
	}
	binary, err := foreground.FindEnvoy(ctx, o.Config, o.Out)
	if err != nil {
		return err
	}

	dir, err := os.MkdirTemp("", "slipway-run-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		}
	}()
	closeBackend, err := foreground.Serve(o.Backend, backend())
	if err != nil {
		return err
	}
	defer foreground.CloseInto(&err, closeBackend)
	auth, err := authservice.Start(authservice.Answering)
	if err != nil {
		return err
	}
	defer foreground.CloseInto(&err, auth.Close)
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
	rendered, err := envoyconf.Render(envoyconf.BuildOptions{
		Admin: admin,
		Listeners: []envoyconf.Listener{{
			Address: listener,
			Filters: []envoyconf.Filter{{
				Name:          filter.Name,
				Configuration: configuration,
				Source:        envoyconf.Remote{URL: storage.URL(key), SHA256: module.WasmSHA256},
			}},
		}},
		Upstream: upstream,
		Clusters: []envoyconf.Cluster{{Name: foreground.AuthCluster, Address: envoyconf.Address{Port: auth.Port()}}},
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
		Path:   binary.Path,
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
  auth service   http://127.0.0.1:%[4]d/auth, the cluster %[5]s
  module         %[6]s
  configuration  %[7]s
  admin          http://%[8]s
  log            %[9]s, of which warnings and what the filter logs show here

Try:

  curl -i http://%[10]s/hello

Ctrl-C ends everything.

`, filter.Name, binary.Version, o.Backend, auth.Port(), foreground.AuthCluster, storage.URL(key), file, o.Admin, proxy.LogFile(), o.Listener)

	select {
	case <-ctx.Done():
		return nil
	case <-proxy.Done():
		return errors.New("the proxy has ended")
	}
}

// build compiles the filter.
func (o runOptions) build(ctx context.Context) (catalog.Filter, build.Module, error) {
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
