package stores

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// TestEnvoyFetches lets real Envoy fetch a filter that was uploaded, from the store
// itself, by URL and sha256.
func TestEnvoyFetches(t *testing.T) {
	t.Parallel()
	c, err := variables.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	const root = "../.."
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(root, "filter"), Names: []string{"headers"}})
	if err != nil {
		t.Fatal(err)
	}
	dist := os.Getenv("SLIPWAY_DIST") // set by "mage test"
	if dist == "" {
		dist = filepath.Join(root, "dist")
	}
	modules, err := build.Build(t.Context(), build.Options{Filters: filters, Dist: dist, Compiler: c.Compiler, GoToolchain: c.GoToolchain})
	if err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(upstream.Close)
	_, port, _ := net.SplitHostPort(upstream.Listener.Addr().String())
	upstreamPort, _ := strconv.Atoi(port) // httptest's

	bin, err := envoy.Find(t.Context(), envoy.FindOptions{Path: c.EnvoyPath, Log: os.Stdout})
	if err != nil {
		t.Fatal(err)
	}
	eachStore(t, func(t *testing.T, s store) {
		objects := s.mustUpload(t, release("1.0.0", modules...))
		config, err := envoyconf.Render(envoyconf.BuildOptions{
			Upstream: envoyconf.Address{Port: upstreamPort},
			Listeners: []envoyconf.Listener{{Filters: []envoyconf.Filter{{
				Name:          "headers",
				Configuration: `{"response": {"set": {"x-fetched-from": "` + filepath.Base(t.Name()) + `"}}}`,
				Source:        envoyconf.Remote{URL: objects[0].URL, SHA256: objects[0].WasmSHA256},
			}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		proxy, err := envoy.Start(t.Context(), envoy.StartOptions{Path: bin.Path, Config: config, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = proxy.Stop() }()
		address, err := proxy.ListenerURL(t.Context(), envoyconf.DefaultListener)
		if err != nil {
			t.Fatal(err)
		}
		_, header, _, err := fetch(t.Context(), address)
		if err != nil || header.Get("x-fetched-from") != filepath.Base(t.Name()) {
			t.Errorf("the filter does not run: %v, %v\n%s", header, err, proxy.Report(nil))
		}
	})
}
