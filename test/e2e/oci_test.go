package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/test/envoy"
	"github.com/slipway-wasm/slipway/test/scenario"
)

// TestPulledFromRegistry runs what was pushed to a registry and pulled back by its
// manifest digest: Envoy fetches that file, and does with it what the scenarios
// want.
func TestPulledFromRegistry(t *testing.T) {
	forEachEnvoy(t, func(t *testing.T, bin envoy.Binary) {
		modules := modulesOf(t)
		from := registrySources(t, modules)
		pulled := examples(t, modules)
		// One filter will do, as Envoy takes seconds to compile each; FILTERS may leave
		// it out.
		for _, s := range scenario.All(scenario.Options{AuthCluster: pulledCluster, Modules: moduleNames(modules)}) {
			if s.Name == "headers" {
				pulled.Scenario = s
			}
		}
		pulled.Name, pulled.Alone, pulled.from = pulledName(pulled.Name), true, from
		play(t, bin, []part{pulled})
	})
}

func pulledName(scenario string) string { return "pulled-" + scenario }

func pulledCluster(scenario string) string { return authCluster(pulledName(scenario)) }

// registrySources pushes the modules in every shape, pulls them back by digest, and
// serves what came back. Each shape has to give the same bytes.
func registrySources(t *testing.T, modules []builtModule) sources {
	t.Helper()
	built, err := build.Load(filepath.Join(root, "dist"), moduleNames(modules))
	if err != nil {
		t.Fatal(err)
	}
	filters := make([]oci.Filter, len(built))
	for i := range built {
		filters[i] = oci.Filter{Module: built[i], Metadata: modules[i].Metadata}
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
	published, err := oci.Push(suite.ctx, r, oci.PushOptions{
		Filters: filters,
		Shapes:  oci.Shapes,
		Release: oci.Release{Version: "0.0.1", Created: time.Unix(0, 0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := sources{}
	for i, p := range published {
		file := filepath.Join(t.TempDir(), "pulled.wasm")
		if _, err := oci.Pull(suite.ctx, r, oci.Reference{Repository: p.Repository, Digest: p.ManifestDigest}, file); err != nil {
			t.Fatal(err)
		}
		module := filters[i/len(oci.Shapes)].Module
		module.Path = file
		object, err := store(fmt.Sprintf("pulled-%s/%s", p.Shape, p.Filter), module)
		if err != nil {
			t.Fatal(err)
		}
		if p.Shape == oci.Artifact {
			s[p.Filter] = envoyconf.Remote{URL: suite.storage.URL(object.Key), SHA256: p.WasmSHA256}
		}
	}
	return s
}
