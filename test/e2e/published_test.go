package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/local"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// sources say where Envoy gets a module from, by the module's name.
type sources map[string]envoyconf.Remote

// TestPublished plays scenarios with modules from each place where they are published: pushed to
// a registry and pulled back by manifest digest; uploaded to nginx and to an S3 server; and served
// by https. One Envoy plays them all, as it compiles the module once.
func TestPublished(t *testing.T) {
	stores := sync.OnceValues(func() ([]realStore, error) { return serveStores(t) })
	forEachEnvoy(t, func(t *testing.T, bin envoy.Binary) {
		modules := one(t)
		from := map[string]sources{"pulled": registrySources(t, modules), "https": https(t, modules)}
		stores, err := stores()
		if err != nil {
			t.Fatal(err)
		}
		for _, store := range stores {
			if store.Missing != "" {
				leaveOut(t, store)
				continue
			}
			if from["uploaded-to-"+store.Name], err = store.upload(modules); err != nil {
				t.Fatal(err)
			}
		}
		var scenarios []scenario.Scenario
		for name := range from {
			s := scenario.AsShipped(modules[0].Filter)
			s.Name = name
			scenarios = append(scenarios, s)
		}
		scenarios = append(scenarios, rawBytes(t, modules[0].Filter)...)
		from["raw-bytes"] = from["pulled"]
		play(t, bin, modules, scenarios, func(s *scenario.Scenario) sources { return from[s.Name] })
	})
}

// one returns one built filter, as Envoy takes seconds to compile each: requestlog, or if FILTERS
// leaves it out, another one.
func one(t *testing.T) []builtModule {
	t.Helper()
	all := modulesOf(t)
	i := slices.IndexFunc(all, func(m builtModule) bool { return m.Name == "requestlog" })
	i = max(i, 0)
	return all[i : i+1]
}

// rawBytes is the first step of requestlog's scenario logs-requests, with a header that is not
// UTF-8. No YAML file can say that.
func rawBytes(t *testing.T, filter catalog.Filter) []scenario.Scenario {
	t.Helper()
	if filter.Name != "requestlog" {
		return nil
	}
	s, err := scenario.Read(filepath.Join(filter.Dir, scenario.Folder, "logs-requests.yaml"), filter)
	if err != nil {
		t.Fatal(err)
	}
	s.Name, s.Steps = "raw-bytes", s.Steps[:1]
	s.Steps[0].Request.Headers["x-odd"] = scenario.Values{"quote \" and \\ and \xff"}
	s.Steps[0].Expect.Log[0].JSON["$.request_headers['x-odd']"] = scenario.JSONValue{Value: "quote \" and \\ and \ufffd"}
	return []scenario.Scenario{s}
}

// play plays scenarios in one Envoy.
func play(t *testing.T, bin envoy.Binary, modules []builtModule, scenarios []scenario.Scenario, from func(*scenario.Scenario) sources) {
	t.Helper()
	var names []string
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	o := local.Options{
		Modules:   map[string]local.Module{},
		Scenarios: scenarios,
		Envoys:    []envoy.Binary{bin},
		Run:       regexp.MustCompile("/(" + strings.Join(names, "|") + ")$"),
		Dir:       filepath.Join(suite.dir, strings.ReplaceAll(t.Name(), "/", "_")),
		Source: func(s *scenario.Scenario, filter string) (local.Module, bool) {
			remote, ok := from(s)[filter]
			return local.Module{Remote: remote}, ok
		},
	}
	for _, m := range modules {
		o.Filters = append(o.Filters, m.Filter)
	}
	results, err := local.Play(suite.ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, failure := range results.Failures {
		t.Error(failure)
	}
	if passed := results.Count(scenario.Passed); passed != len(scenarios) {
		t.Errorf("%d of %d scenarios passed: %v", passed, len(scenarios), names)
	}
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

func moduleNames(modules []builtModule) []string {
	var names []string
	for _, m := range modules {
		names = append(names, m.Name)
	}
	return names
}
