package envoyconf_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/envoyconf"
)

var update = flag.Bool("update", false, "write the golden files anew")

const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

var golden = map[string]envoyconf.BuildOptions{
	// The smallest bootstrap: a proxy without filters.
	"minimal": {Upstream: envoyconf.Address{Port: 8080}},
	// A bootstrap with every option.
	"full": {
		Admin:    envoyconf.Address{Host: "0.0.0.0", Port: 8001},
		Upstream: envoyconf.Address{Host: "httpbin.example", Port: 80},
		Clusters: []envoyconf.Cluster{{Name: "my_custom_svc", Address: envoyconf.Address{Host: "10.0.0.7", Port: 9000}}},
		Listeners: []envoyconf.Listener{
			{
				Name:             "inbound",
				Address:          envoyconf.Address{Host: "::1", Port: 8085},
				TrafficDirection: corev3.TrafficDirection_INBOUND,
				AccessLog:        true,
				Filters: []envoyconf.Filter{
					{
						Name:            "headers",
						RootID:          "root",
						VMID:            "shared",
						VMConfiguration: `{"direction":"in"}`,
						Configuration:   "x-a=b\nx-c=d\n",
						FailurePolicy:   wasmv3.FailurePolicy_FAIL_OPEN,
						Environment:     map[string]string{"MODE": "test", "A": ""},
						HostEnvironment: []string{"HOSTNAME"},
						Source: envoyconf.Remote{
							URL: "http://127.0.0.1:9999/headers.wasm", SHA256: sum, Timeout: 1500 * time.Millisecond, Retries: -1,
						},
					},
					{
						Name:   "requestlog",
						Source: envoyconf.Remote{URL: "http://127.0.0.1:9999/requestlog.wasm", SHA256: sum},
					},
					{
						Name:   "authtoken",
						Source: envoyconf.Remote{URL: "https://storage.example/authtoken.wasm?v=1", SHA256: sum, Cluster: "modules", CAFile: "/ca.pem"},
					},
					{
						Name:   "by-address",
						Source: envoyconf.Remote{URL: "https://10.0.0.8:8443/x.wasm", SHA256: sum},
					},
					{Name: "file", Source: envoyconf.Local{Path: "/etc/envoy/file.wasm"}},
				},
			},
			{
				TrafficDirection: corev3.TrafficDirection_OUTBOUND,
				Filters:          []envoyconf.Filter{{Name: "file", Source: envoyconf.Local{Path: "/etc/envoy/file.wasm"}}},
			},
		},
	},
}

func TestBuild(t *testing.T) {
	t.Parallel()
	for name, options := range golden {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := build(t, options)
			file := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s differs; if that is meant, run go test ./deploy/envoyconf -update (-want +got):\n%s", file, diff)
			}
			if again := build(t, options); string(again) != string(got) {
				t.Error("built twice, two results")
			}
		})
	}
}

func build(t *testing.T, o envoyconf.BuildOptions) []byte {
	t.Helper()
	out, err := envoyconf.Render(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	remote := func(url string) envoyconf.Filter {
		return envoyconf.Filter{Name: "f", Source: envoyconf.Remote{URL: url, SHA256: sum}}
	}
	withSum := func(s string) envoyconf.Filter {
		return envoyconf.Filter{Name: "f", Source: envoyconf.Remote{URL: "http://h/x", SHA256: s}}
	}
	filters := func(f ...envoyconf.Filter) func(*envoyconf.BuildOptions) {
		return func(o *envoyconf.BuildOptions) { o.Listeners[0].Filters = f }
	}
	tests := map[string]struct {
		change func(*envoyconf.BuildOptions)
		want   string
	}{
		"no upstream":        {func(o *envoyconf.BuildOptions) { o.Upstream = envoyconf.Address{} }, "upstream.port: 0 is not a port to connect to"},
		"upstream port":      {func(o *envoyconf.BuildOptions) { o.Upstream.Port = 65536 }, "upstream.port: 65536"},
		"upstream host":      {func(o *envoyconf.BuildOptions) { o.Upstream.Host = "a b" }, `upstream.host: "a b" is neither`},
		"upstream with port": {func(o *envoyconf.BuildOptions) { o.Upstream.Host = "a:80" }, `upstream.host: "a:80" is neither`},
		"listener port":      {func(o *envoyconf.BuildOptions) { o.Listeners[0].Address.Port = -1 }, "listeners[0].port: -1 is not a port"},
		"listener name":      {func(o *envoyconf.BuildOptions) { o.Listeners[0].Address.Host = "localhost" }, `listeners[0].host: "localhost" is not an IP address`},
		"admin port":         {func(o *envoyconf.BuildOptions) { o.Admin.Port = 70000 }, "admin.port: 70000 is not a port"},
		"cluster unnamed":    {func(o *envoyconf.BuildOptions) { o.Clusters[0].Name = "" }, "clusters[0].name: missing"},
		"cluster twice":      {func(o *envoyconf.BuildOptions) { o.Clusters[0].Name = "upstream" }, `clusters[0].name: cluster "upstream" exists already`},
		"listener twice":     {func(o *envoyconf.BuildOptions) { o.Listeners = make([]envoyconf.Listener, 2) }, `listeners[1].name: "main" is used twice`},
		"filter unnamed":     {filters(envoyconf.Filter{Source: envoyconf.Local{Path: "/x"}}), "listeners[0].filters[0].name: missing"},
		"filter twice":       {filters(remote("http://h/x"), remote("http://h/x")), `filters[1].name: "f" is used twice`},
		"environment twice": {filters(envoyconf.Filter{Name: "f", Source: envoyconf.Local{Path: "/x"}, Environment: map[string]string{"A": "b"}, HostEnvironment: []string{"A"}}),
			"filters[0].environment: A is given and taken from the host, too"},
		"remote cluster twice": {filters(envoyconf.Filter{Name: "f", Source: envoyconf.Remote{URL: "http://h/x", SHA256: sum, Cluster: "c"}}),
			`filters[0].source.cluster: cluster "c" exists already`},
		"no source":         {filters(envoyconf.Filter{Name: "f"}), "filters[0].source: missing"},
		"relative path":     {filters(envoyconf.Filter{Name: "f", Source: envoyconf.Local{Path: "x.wasm"}}), `path: "x.wasm" is not absolute`},
		"sum missing":       {filters(withSum("")), `sha256: "" is not 64 lower-case hex digits`},
		"sum short":         {filters(withSum(sum[1:])), "is not 64 lower-case hex digits"},
		"sum in capitals":   {filters(withSum(strings.ToUpper(sum))), "is not 64 lower-case hex digits"},
		"sum with prefix":   {filters(withSum("sha256:" + sum[7:])), "is not 64 lower-case hex digits"},
		"url relative":      {filters(remote("/x.wasm")), "is not an absolute http or https URL"},
		"url without host":  {filters(remote("http:///x.wasm")), "is not an absolute http or https URL"},
		"url of a registry": {filters(remote("oci://ghcr.io/x")), "is not an absolute http or https URL"},
		"url unparsable":    {filters(remote("http://h:x/")), "not a URL"},
		"url port":          {filters(remote("http://h:99999/x")), "url.port: 99999 is not a port"},
		"url fragment":      {filters(remote("http://h/x#y")), "has a fragment"},
		"timeout": {filters(envoyconf.Filter{Name: "f", Source: envoyconf.Remote{URL: "http://h/x", SHA256: sum, Timeout: -1}}),
			"timeout: -1ns is negative"},
		"failure policy": {filters(envoyconf.Filter{Name: "f", Source: envoyconf.Local{Path: "/x"}, FailurePolicy: wasmv3.FailurePolicy(99)}),
			"failure_policy: 99"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := envoyconf.BuildOptions{
				Upstream:  envoyconf.Address{Host: "127.0.0.1", Port: 80},
				Clusters:  []envoyconf.Cluster{{Name: "c", Address: envoyconf.Address{Port: 81}}},
				Listeners: []envoyconf.Listener{{}},
			}
			test.change(&options)
			bootstrap, err := envoyconf.Build(options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
			if bootstrap != nil {
				t.Error("got a bootstrap beside the error")
			}
		})
	}
}

// One run must report every mistake, not only the first one.
func TestBuildTellsEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := envoyconf.Build(envoyconf.BuildOptions{
		Listeners: []envoyconf.Listener{
			{Address: envoyconf.Address{Port: -1}},
			{Name: "second", Filters: []envoyconf.Filter{{}, {Name: "f"}}},
		},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"upstream.port", "listeners[0].port", "listeners[1].filters[0].name", "listeners[1].filters[1].source"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error says nothing of %s:\n%v", want, err)
		}
	}
}

// Errors end up in logs, so they must not hold a password from a URL.
func TestBuildHidesPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"https://user:hunter2@h/x.wasm", "https://user:hunter2@h:x/x.wasm"} {
		_, err := envoyconf.Build(envoyconf.BuildOptions{
			Upstream:  envoyconf.Address{Port: 80},
			Listeners: []envoyconf.Listener{{Filters: []envoyconf.Filter{{Name: "f", Source: envoyconf.Remote{URL: url, SHA256: sum}}}}},
		})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got error %v, want one without the password", err)
		}
	}
}

// BuildFilter makes the same filter as Build, and reports the same mistakes.
func TestBuildFilter(t *testing.T) {
	t.Parallel()
	wasm, clusters, err := envoyconf.BuildFilter(envoyconf.Filter{
		Name:   "f",
		Source: envoyconf.Remote{URL: "https://storage.example/f.wasm", SHA256: sum, Cluster: "modules"},
	})
	if err != nil {
		t.Fatal(err)
	}
	remote := wasm.GetConfig().GetVmConfig().GetCode().GetRemote()
	if remote.GetSha256() != sum || remote.GetHttpUri().GetCluster() != "modules" {
		t.Errorf("remote source is %v", remote)
	}
	if len(clusters) != 1 || clusters[0].GetName() != "modules" || clusters[0].GetTransportSocket() == nil {
		t.Errorf("clusters are %v", clusters)
	}
	for want, f := range map[string]envoyconf.Filter{
		"filter.name: missing":          {Source: envoyconf.Local{Path: "/x"}},
		"filter.source: missing":        {Name: "f"},
		"is not 64 lower-case hex":      {Name: "f", Source: envoyconf.Remote{URL: "http://h/x"}},
		"is not an absolute http or":    {Name: "f", Source: envoyconf.Remote{URL: "ftp://h/x", SHA256: sum}},
		"filter.source.url.port: 99999": {Name: "f", Source: envoyconf.Remote{URL: "http://h:99999/x", SHA256: sum}},
	} {
		if wasm, clusters, err := envoyconf.BuildFilter(f); err == nil || !strings.Contains(err.Error(), want) || wasm != nil || clusters != nil {
			t.Errorf("%+v gives %v, %v, %v; want an error with %q", f, wasm, clusters, err, want)
		}
	}
}
