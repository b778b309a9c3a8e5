// Package e2e compares Slipway with real Envoys: what it says of modules, and whether proxies
// fetch modules from wherever it puts them. What filters do is in their scenarios.
//
// Filters that are missing or older than their sources are built first. With
// SLIPWAY_DIST, the ones in that folder run as they are, and none is built. The other
// environment variables are those of package deploy/variables: ENVOY_VERSIONS is the
// matrix, FILTERS narrows what is run.
package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/mccutchen/go-httpbin/v2/httpbin"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// root is the repository's folder, seen from this package's.
const root = "../.."

// suite is what all tests share.
var suite struct {
	ctx     context.Context // ends with Ctrl-C
	dir     string          // logs and configurations; kept after a failure
	config  variables.Values
	httpbin int // port

	storage *httpstore.Server
	modules func() ([]builtModule, error)
}

// builtModule is a filter that the storage serves.
type builtModule struct {
	catalog.Filter
	Module build.Module
	SHA256 string
	URL    string
}

func TestMain(m *testing.M) {
	os.Exit(runSuite(m))
}

func runSuite(m *testing.M) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	suite.ctx = ctx
	suite.modules = sync.OnceValues(serveModules)
	end, err := setUp()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer end()

	// Tests mostly wait, so more can run side by side than there are
	// processors. The flag -parallel, which Run reads, still goes before this.
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	code := m.Run()
	switch {
	case ctx.Err() != nil:
		fmt.Println("e2e: interrupted")
		code = 1
	case code != 0:
		fmt.Printf("e2e: logs and configurations are kept in %s\n", suite.dir)
		return code
	}
	if err := os.RemoveAll(suite.dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	}
	return code
}

// setUp starts what all scenarios share and returns what ends it.
func setUp() (end func(), err error) {
	if suite.config, err = variables.FromEnv(); err != nil {
		return nil, err
	}
	if path := suite.config.EnvoyPath; path != "" && !filepath.IsAbs(path) {
		suite.config.EnvoyPath = filepath.Join(root, path) // relative to where mage runs, not tests
	}
	if suite.dir, err = os.MkdirTemp("", "slipway-e2e-"); err != nil {
		return nil, err
	}
	if suite.storage, err = httpstore.Serve(httpstore.ServeOptions{Dir: filepath.Join(suite.dir, "storage")}); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, suite.storage.Close())
	}
	suite.httpbin = listener.Addr().(*net.TCPAddr).Port
	server := &http.Server{Handler: httpbin.New()}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	return func() {
		if err := errors.Join(server.Close(), suite.storage.Close()); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
	}, nil
}

// serveModules builds the filters and puts their modules into the storage.
func serveModules() ([]builtModule, error) {
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(root, "filter"), Names: suite.config.Filters})
	if err != nil {
		return nil, err
	}
	modules, err := buildModules(filters)
	if err != nil {
		return nil, err
	}
	var served []builtModule
	for i, module := range modules {
		url, err := store(filters[i].Name, module)
		if err != nil {
			return nil, err
		}
		served = append(served, builtModule{filters[i], module, module.WasmSHA256, url})
	}
	return served, nil
}

func buildModules(filters []catalog.Filter) ([]build.Module, error) {
	if dist := os.Getenv("SLIPWAY_DIST"); dist != "" {
		var names []string
		for _, f := range filters {
			names = append(names, f.Name)
		}
		return build.Load(dist, names)
	}
	return build.Build(suite.ctx, build.Options{
		Filters:     filters,
		Dist:        filepath.Join(root, "dist"),
		Compiler:    suite.config.Compiler,
		GoToolchain: suite.config.GoToolchain,
		Out:         os.Stdout,
	})
}

// store puts a module into the suite's storage, if the module matches its record, and
// returns its URL.
func store(name string, module build.Module) (url string, err error) {
	wasm, err := os.ReadFile(module.Path)
	if err != nil {
		return "", err
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(wasm)); sum != module.WasmSHA256 {
		return "", fmt.Errorf("%s has sha256 %s, its record says %s", module.Path, sum, module.WasmSHA256)
	}
	key := fmt.Sprintf("%[1]s/%[2]s/%[1]s.wasm", name, module.WasmSHA256)
	return suite.storage.URL(key), suite.storage.Add(key, module.Path)
}

// modulesOf returns the built filters, or ends the test.
func modulesOf(t *testing.T) []builtModule {
	t.Helper()
	modules, err := suite.modules()
	if err != nil {
		t.Fatal(err)
	}
	return modules
}

// forEachEnvoy runs test as a subtest for each Envoy of the matrix, one after the
// other: side by side they would only take turns on the processor.
func forEachEnvoy(t *testing.T, test func(t *testing.T, bin envoy.Binary)) {
	t.Parallel()
	versions := suite.config.EnvoyVersions
	if len(versions) == 0 {
		versions = []string{""} // whatever ENVOY_PATH is, or the default
	}
	for _, version := range versions {
		bin, err := findEnvoy(version)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Run(bin.Version, func(t *testing.T) { test(t, bin) })
	}
}

// found remembers what findEnvoy found, so that each Envoy is looked for and reported
// once.
var found struct {
	sync.Mutex
	binaries map[string]envoy.Binary
}

func findEnvoy(version string) (envoy.Binary, error) {
	found.Lock()
	defer found.Unlock()
	if bin, ok := found.binaries[version]; ok {
		return bin, nil
	}
	bin, err := envoy.Find(suite.ctx, envoy.FindOptions{Version: version, Path: suite.config.EnvoyPath, Log: os.Stdout})
	if err != nil {
		return envoy.Binary{}, err
	}
	if found.binaries == nil {
		found.binaries = map[string]envoy.Binary{}
	}
	found.binaries[version] = bin
	return bin, nil
}
