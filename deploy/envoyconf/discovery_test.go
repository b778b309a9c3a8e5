package envoyconf_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/envoyconf"
)

// The tests of deploy/dev check that Envoy discovers the filter from the rendered file.
func TestDiscovered(t *testing.T) {
	t.Parallel()
	options := envoyconf.BuildOptions{
		Listeners: []envoyconf.Listener{{Filters: []envoyconf.Filter{{
			Name: "headers", Source: envoyconf.Discovered{Path: "/run/headers.json"},
		}}}},
		Upstream: envoyconf.Address{Port: 80},
	}
	text := string(build(t, options))
	for _, want := range []string{"config_discovery:", "path: /run/headers.json", "envoy.extensions.filters.http.wasm.v3.Wasm", "node:", "id: slipway"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	options.Listeners[0].Filters[0].Source = envoyconf.Local{Path: "/srv/headers.wasm"}
	if text := string(build(t, options)); strings.Contains(text, "node:") {
		t.Errorf("without discovery there is a node:\n%s", text)
	}
	for want, f := range map[string]envoyconf.Filter{
		"filters[0].name: missing":                                       {Source: envoyconf.Discovered{Path: "/run/x"}},
		`filters[0].source.path: "x" is not absolute`:                    {Name: "headers", Source: envoyconf.Discovered{Path: "x"}},
		"filters[0]: what is discovered has its configuration in /run/x": {Name: "headers", Configuration: "x", Source: envoyconf.Discovered{Path: "/run/x"}},
	} {
		options.Listeners[0].Filters[0] = f
		if _, err := envoyconf.Build(options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q in it", err, want)
		}
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	filter := envoyconf.Filter{Name: "headers", Configuration: "a=b", Source: envoyconf.Local{Path: "/srv/headers.wasm"}}
	content, err := envoyconf.Discovery(filter, "v1")
	if err != nil {
		t.Fatal(err)
	}
	var response struct {
		VersionInfo string `json:"version_info"`
		Resources   []struct {
			Type        string `json:"@type"`
			Name        string
			TypedConfig struct {
				Type   string `json:"@type"`
				Config struct {
					VMConfig struct {
						Code struct{ Local struct{ Filename string } }
					} `json:"vm_config"`
				}
			} `json:"typed_config"`
		}
	}
	if err := json.Unmarshal(content, &response); err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	if len(response.Resources) != 1 || response.VersionInfo != "v1" {
		t.Fatalf("got %s", content)
	}
	resource := response.Resources[0]
	if resource.Type != "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig" || resource.Name != "headers" ||
		!strings.HasSuffix(resource.TypedConfig.Type, "http.wasm.v3.Wasm") || resource.TypedConfig.Config.VMConfig.Code.Local.Filename != "/srv/headers.wasm" {
		t.Errorf("got %s", content)
	}
	for want, change := range map[string]func(f *envoyconf.Filter){
		"filter.name: missing":                   func(f *envoyconf.Filter) { f.Name = "" },
		`"headers.wasm" is not absolute`:         func(f *envoyconf.Filter) { f.Source = envoyconf.Local{Path: "headers.wasm"} },
		"is envoyconf.Remote; give Local (path)": func(f *envoyconf.Filter) { f.Source = envoyconf.Remote{} },
		"is <nil>; give Local (path)":            func(f *envoyconf.Filter) { f.Source = nil },
	} {
		f := filter
		change(&f)
		if _, err := envoyconf.Discovery(f, "v1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q in it", err, want)
		}
	}
}

// The tests of deploy/scenario check that Envoy follows the files.
func TestDynamic(t *testing.T) {
	t.Parallel()
	options := envoyconf.BuildOptions{
		Listeners: []envoyconf.Listener{{Name: "more", Cluster: "behind"}},
		Upstream:  envoyconf.Address{Port: 80},
		Clusters:  []envoyconf.Cluster{{Name: "behind", Address: envoyconf.Address{Port: 81}}},
	}
	listeners, clusters, err := envoyconf.Dynamic(&options, "v1")
	if err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{string(listeners): `"more"`, string(clusters): `"behind"`} {
		if !strings.Contains(content, want) || !strings.Contains(content, `"version_info": "v1"`) || strings.Contains(content, `"name": "upstream"`) {
			t.Errorf("%s is not in\n%s", want, content)
		}
	}
	if listeners, clusters, err = envoyconf.Dynamic(nil, "v2"); err != nil || !strings.Contains(string(listeners)+string(clusters), `"resources": []`) {
		t.Errorf("%v\n%s\n%s", err, listeners, clusters)
	}
	options.Dynamic = "relative"
	if _, err := envoyconf.Build(options); err == nil || !strings.Contains(err.Error(), `dynamic.path: "relative/listeners/listeners.json" is not absolute`) {
		t.Errorf("error is %v", err)
	}
	options.Dynamic, options.Listeners[0].Cluster = "", "nobody"
	if _, err := envoyconf.Build(options); err == nil || !strings.Contains(err.Error(), `listeners[0].cluster: there is no cluster "nobody"`) {
		t.Errorf("error is %v", err)
	}
}
