// Command load runs the modules of any repository in real Envoys. Each module runs alone and
// unchanged. Envoy fetches it by URL and sha256, and runs it with the example configuration of
// its filter.yaml in front of a backend that says hello. A module passes if Envoy accepts it
// and does not answer a request with an error of its own.
//
// "go tool mage release" runs it in a repository that has no test/e2e. SLIPWAY_FILTERS is the
// folder of the filters, SLIPWAY_DIST is the folder of the modules, and SLIPWAY_E2E_REPORT is
// the file to which load writes what it ran. The other variables are those of package
// deploy/variables.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", foreground.Advise(err))
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, out io.Writer) error {
	c, err := variables.FromEnv()
	if err != nil {
		return err
	}
	filters, err := catalog.Load(catalog.LoadOptions{Dir: os.Getenv("SLIPWAY_FILTERS"), Names: c.Filters})
	if err != nil {
		return err
	}
	names := make([]string, len(filters))
	for i, f := range filters {
		names[i] = f.Name
	}
	modules, err := build.Load(os.Getenv("SLIPWAY_DIST"), names)
	if err != nil {
		return err
	}
	played := gotest.Played{Modules: map[string]string{}}
	versions := c.EnvoyVersions
	if len(versions) == 0 {
		versions = []string{""}
	}
	for _, version := range versions {
		binary, err := envoy.Find(ctx, envoy.FindOptions{Version: version, Path: c.EnvoyPath, Log: out})
		if err != nil {
			return err
		}
		for i, f := range filters {
			status, err := load(ctx, binary, f, modules[i])
			if err != nil {
				return fmt.Errorf("run %s in Envoy %s: %w", f.Name, binary.Version, err)
			}
			fmt.Fprintf(out, "%s runs in Envoy %s: a request is answered with %d\n", f.Name, binary.Version, status)
			played.Modules[f.Name] = modules[i].WasmSHA256
			played.Checks++
		}
		played.EnvoyVersions = append(played.EnvoyVersions, binary.Version)
	}
	data, err := json.Marshal(played)
	if err != nil {
		return err
	}
	return os.WriteFile(os.Getenv("SLIPWAY_E2E_REPORT"), data, 0o644)
}

// load runs one module and returns the status of the answer to a request.
func load(ctx context.Context, binary envoy.Binary, filter catalog.Filter, module build.Module) (status int, err error) {
	dir, err := os.MkdirTemp("", "slipway-load-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }))
	defer backend.Close()
	upstream, err := address(backend.URL)
	if err != nil {
		return 0, err
	}
	storage, err := httpstore.Serve(httpstore.ServeOptions{Dir: filepath.Join(dir, "storage")})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, storage.Close()) }()
	key := filter.Name + ".wasm"
	if err := storage.Add(key, module.Path); err != nil {
		return 0, err
	}
	example, err := filter.Metadata.ExampleConfiguration()
	if err != nil {
		return 0, err
	}
	rendered, err := envoyconf.Render(envoyconf.BuildOptions{
		Listeners: []envoyconf.Listener{{Filters: []envoyconf.Filter{{
			Name:          filter.Name,
			Configuration: example,
			Source:        envoyconf.Remote{URL: storage.URL(key), SHA256: module.WasmSHA256},
		}}}},
		Upstream: upstream,
	})
	if err != nil {
		return 0, err
	}
	proxy, err := envoy.Start(ctx, envoy.StartOptions{Path: binary.Path, Config: rendered, Dir: filepath.Join(dir, "envoy")})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, proxy.Stop()) }()
	listener, err := proxy.ListenerURL(ctx, envoyconf.DefaultListener)
	if err != nil {
		return 0, err
	}
	return ask(ctx, proxy, listener)
}

// fetchTimeout is how long Envoy may take to fetch and compile a module. Until then it answers
// with errors.
const fetchTimeout = 2 * time.Minute

// ask sends requests until the answer is not a server error. If Envoy refused the module, all
// answers are server errors.
func ask(ctx context.Context, proxy *envoy.Proxy, listener string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	status := 0
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, listener, nil)
		if err != nil {
			return 0, err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			status = response.StatusCode
			err = response.Body.Close()
			if status < http.StatusInternalServerError {
				return status, err
			}
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("it answers requests with %d; its log:\n%s", status, proxy.Report(envoy.Relevant))
		case <-proxy.Done():
			return 0, fmt.Errorf("the proxy has ended; its log:\n%s", proxy.Report(envoy.Relevant))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// address is a URL's host and port.
func address(text string) (envoyconf.Address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return envoyconf.Address{}, err
	}
	port, err := strconv.Atoi(u.Port())
	return envoyconf.Address{Host: u.Hostname(), Port: port}, err
}
