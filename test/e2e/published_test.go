package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// TestPublished runs one filter in one Envoy, from each place where it is published. It
// is pushed to a registry and pulled back by its manifest digest. It is also uploaded
// to nginx and to an S3 server, from where Envoy fetches it.
func TestPublished(t *testing.T) {
	stores := sync.OnceValues(func() ([]realStore, error) { return serveStores(t) })
	forEachEnvoy(t, func(t *testing.T, bin envoy.Binary) {
		all := modulesOf(t)
		// One filter will do, as Envoy takes seconds to compile each; FILTERS may leave
		// headers out.
		modules := all[:1]
		if i := slices.IndexFunc(all, func(m builtModule) bool { return m.Name == "headers" }); i >= 0 {
			modules = all[i : i+1]
		}
		pulled := examples(t, modules)
		if modules[0].Name == "headers" {
			pulled.Scenario = named(t, "headers")
		}
		pulled.Name, pulled.from = "pulled", registrySources(t, modules)
		parts := []part{pulled}
		stores, err := stores()
		if err != nil {
			t.Fatal(err)
		}
		for _, store := range stores {
			if store.Missing != "" {
				leaveOut(t, store)
				continue
			}
			uploaded := examples(t, modules)
			uploaded.Name = "uploaded-to-" + store.Name
			if uploaded.from, err = store.upload(modules); err != nil {
				t.Fatal(err)
			}
			parts = append(parts, uploaded)
		}
		play(t, bin, "published", parts)
	})
}

// leaveOut says what is missing, because "go test" would not print a skipped test.
func leaveOut(t *testing.T, store realStore) {
	t.Helper()
	fmt.Printf("e2e: left out: a run with %s: %s\n", store.Name, store.Missing)
	if _, ci := os.LookupEnv("CI"); ci {
		t.Errorf("a run with %s is left out, and everything has to run here", store.Name)
	}
}

// registrySources pushes the modules in every shape, pulls them back by digest, and
// serves what came back. Each shape has to give the same bytes.
func registrySources(t *testing.T, modules []builtModule) sources {
	t.Helper()
	built, err := build.Load(filepath.Join(root, "dist"), moduleNames(modules))
	if err != nil {
		t.Fatal(err)
	}
	filters := make([]build.Built, len(built))
	for i := range built {
		filters[i] = build.Built{Filter: modules[i].Filter, Module: built[i]}
	}
	server, err := registry.Start(suite.ctx, registry.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	r, err := oci.Open(oci.RegistryOptions{Address: server.Addr() + "/e2e"})
	if err != nil {
		t.Fatal(err)
	}
	images, err := oci.NewImages(build.Release{Version: version.MustParse("0.0.1"), Created: time.Unix(0, 0), Filters: filters}, oci.Shapes...)
	if err != nil {
		t.Fatal(err)
	}
	published, err := r.Push(suite.ctx, images, oci.PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := sources{}
	for i, p := range published {
		file := filepath.Join(t.TempDir(), "pulled.wasm")
		if _, err := r.Pull(suite.ctx, oci.Reference{Repository: p.Repository, Digest: p.ManifestDigest}, file); err != nil {
			t.Fatal(err)
		}
		module := filters[i/len(oci.Shapes)].Module
		module.Path = file
		url, err := store(fmt.Sprintf("pulled-%s/%s", p.Shape, p.Filter), module)
		if err != nil {
			t.Fatal(err)
		}
		if p.Shape == oci.Artifact {
			s[p.Filter] = envoyconf.Remote{URL: url, SHA256: p.WasmSHA256}
		}
	}
	return s
}
