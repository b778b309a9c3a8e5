//go:build mesh && linux

package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mccutchen/go-httpbin/v2/httpbin"

	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/test/rollout"
)

// root is the repository's folder, seen from this package's.
const root = "../../.."

// TestRollout plays all scenarios and prints the table of their steps.
func TestRollout(t *testing.T) {
	t.Parallel()
	// Not t's context: it ends before the clean-up looks at this one.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	dir, err := os.MkdirTemp("", "slipway-mesh-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && ctx.Err() == nil {
			fmt.Printf("mesh: logs and configurations are kept in %s\n", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c, err := variables.FromEnv()
	if err != nil {
		t.Fatal(err)
	}

	options := stores(ctx, t, dir)
	options.Root, options.Out = root, os.Stdout
	options.Compiler, options.GoToolchain, options.TinyGoVersion = c.Compiler, c.GoToolchain, c.TinyGoVersion
	r, err := rollout.Prepare(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	defer closeOf(t, r.Close)
	published, err := r.Publish(ctx, "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.RollOut(published[:1]); err != nil { // V8 needs seconds for each
		t.Fatal(err)
	}

	m := &mesh{dir: dir, registry: options.Registry.Address, httpbin: serveHTTPBin(t)}
	if m.envoy, err = findEnvoy(ctx, c); err != nil {
		t.Fatal(err)
	}
	if m.agent, err = buildAgent(ctx); err != nil {
		t.Fatal(err)
	}
	if m.bootstrap, err = bootstrapTemplate(ctx); err != nil {
		t.Fatal(err)
	}
	if m.data, err = openDataDir(ctx, agentDataDir, os.Stdout); err != nil {
		t.Fatal(err)
	}
	defer closeOf(t, m.data.close)
	m.istiod = startIstiod(t, filepath.Join(dir, "istiod.log"))

	if err := r.PlayAll(ctx, m); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		t.Fatal(err)
	}
}

func closeOf(t *testing.T, closer func() error) {
	t.Helper()
	if err := closer(); err != nil {
		t.Error(err)
	}
}

// stores are an embedded registry and an embedded storage.
func stores(ctx context.Context, t *testing.T, dir string) rollout.Options {
	t.Helper()
	images, err := registry.Start(ctx, registry.Options{Dir: filepath.Join(dir, "registry")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOf(t, images.Close) })
	folder := filepath.Join(dir, "storage")
	files, err := httpstore.Serve(httpstore.ServeOptions{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOf(t, files.Close) })
	return rollout.Options{
		Registry: oci.RegistryOptions{Address: images.Addr()},
		Storage:  storage.Options{URL: "file://" + folder, PublicURL: files.URL("")[:len(files.URL(""))-1]},
	}
}

// serveHTTPBin returns httpbin's port.
func serveHTTPBin(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: httpbin.New()}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	t.Cleanup(func() { closeOf(t, server.Close) })
	return listener.Addr().(*net.TCPAddr).Port
}

func findEnvoy(ctx context.Context, c variables.Values) (envoy.Binary, error) {
	path := c.EnvoyPath
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(root, path) // relative to where mage runs, not to where tests run
	}
	return envoy.Find(ctx, envoy.FindOptions{Path: path, Log: os.Stdout})
}
