package manifests

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	wasmfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"istio.io/istio/pilot/pkg/model"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config/mesh"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/render/objects"
)

// landmarks adds Istio's own filters to the chains, which phases refer to: JWT
// (authentication), RBAC (authorization), stats. It also adds something to listen for.
const landmarks = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {number: 8000, targetPort: 8080, name: http, protocol: HTTP}
  - {number: 8001, targetPort: 8081, name: http-admin, protocol: HTTP}
  endpoints: [{address: 10.0.0.1, labels: {app: cart, example.com/tier: "2"}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: payments, namespace: shop}
spec:
  hosts: [payments.example]
  addresses: [10.1.0.9]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {number: 8080, name: http, protocol: HTTP}
  - {number: 9090, name: http-admin, protocol: HTTP}
  endpoints: [{address: 10.0.0.9, labels: {app: payments}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: ingress}
spec:
  selector: {gateway.networking.k8s.io/gateway-name: web}
  servers:
  - {port: {number: 443, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 80, name: http-redirect, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ingress, namespace: istio-ingress}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: all, namespace: istio-system}
spec:
  jwtRules:
  - issuer: example
    jwks: '{"keys":[{"kty":"oct","k":"AQAB","kid":"a","alg":"HS256"}]}'
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: all, namespace: istio-system}
spec:
  rules: [{}]
`

// meshConfig switches Istio's statistics on, for their filter.
const meshConfig = `
enableTracing: false
extensionProviders: [{name: prometheus, prometheus: {}}]
defaultProviders: {metrics: [prometheus]}
`

// workload is a proxy with its pod.
type workload struct {
	kind          model.NodeType
	namespace, ip string
	labels        map[string]string
}

func (w workload) id() string { return w.labels["app"] + "." + w.namespace }

// proxy returns the workload as istiod sees it.
func (w workload) proxy() *model.Proxy {
	return &model.Proxy{
		Type: w.kind, ConfigNamespace: w.namespace, IPAddresses: []string{w.ip}, ID: w.id(), Labels: w.labels,
		Metadata: &model.NodeMetadata{Namespace: w.namespace, Labels: w.labels, IstioVersion: "1.31.1", ClusterID: "Kubernetes"},
	}
}

// node returns the workload as it introduces itself to istiod.
func (w workload) node() *corev3.Node {
	return &corev3.Node{
		Id:       fmt.Sprintf("%s~%s~%s~%s.svc.cluster.local", w.kind, w.ip, w.id(), w.namespace),
		Metadata: w.proxy().Metadata.ToStruct(),
	}
}

var (
	sidecar = workload{model.SidecarProxy, "shop", "10.0.0.1", map[string]string{"app": "cart", "example.com/tier": "2"}}
	// otherSidecar is in the same namespace and has other labels.
	otherSidecar   = workload{model.SidecarProxy, "shop", "10.0.0.9", map[string]string{"app": "payments"}}
	webGateway     = workload{model.Router, "ingress", "10.0.0.2", map[string]string{"app": "web", "gateway.networking.k8s.io/gateway-name": "web"}}
	ingressGateway = workload{model.Router, "istio-ingress", "10.0.0.3", map[string]string{"app": "ingress", "istio": "ingressgateway"}}
)

// chain is an HTTP filter chain that istiod generated.
type chain struct {
	// where is the listener's name and, inbound, the port of the chain.
	where   string
	filters []*hcmv3.HttpFilter
}

func (c chain) names() []string {
	var names []string
	for _, filter := range c.filters {
		names = append(names, filter.GetName())
	}
	return names
}

// generate returns what istiod would send a proxy after the object was applied: its
// chains for user traffic, and the wasm filters that they refer to.
func generate(t *testing.T, w workload, object string) ([]chain, map[string]*wasmfilterv3.Wasm, []string) {
	t.Helper()
	config, err := mesh.ApplyMeshConfigDefaults(meshConfig)
	if err != nil {
		t.Fatal(err)
	}
	s := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{MeshConfig: config, ConfigString: landmarks + "---\n" + object})
	ready := s.SetupProxy(w.proxy())

	var chains []chain
	for _, listener := range s.Listeners(ready) {
		chains = append(chains, httpChains(t, listener)...)
	}
	var clusters []string
	for _, cluster := range s.Clusters(ready) {
		clusters = append(clusters, cluster.GetName())
	}
	return chains, resources(t, s, w, chains), clusters
}

func httpChains(t *testing.T, listener *listenerv3.Listener) []chain {
	t.Helper()
	var chains []chain
	for _, fc := range append(listener.GetFilterChains(), listener.GetDefaultFilterChain()) {
		for _, filter := range fc.GetFilters() {
			manager := &hcmv3.HttpConnectionManager{}
			if filter.GetName() != "envoy.filters.network.http_connection_manager" {
				continue
			}
			if err := filter.GetTypedConfig().UnmarshalTo(manager); err != nil {
				t.Fatal(err)
			}
			where := listener.GetName()
			if port := fc.GetFilterChainMatch().GetDestinationPort().GetValue(); port != 0 {
				where = fmt.Sprintf("%s:%d", where, port)
			}
			chains = append(chains, chain{where: where, filters: manager.GetHttpFilters()})
		}
	}
	return chains
}

// resources asks istiod, over its own protocol, for every extension that the chains
// discover.
func resources(t *testing.T, s *xds.FakeDiscoveryServer, w workload, chains []chain) map[string]*wasmfilterv3.Wasm {
	t.Helper()
	var names []string
	for _, c := range chains {
		for _, filter := range c.filters {
			if filter.GetConfigDiscovery() != nil && !slices.Contains(names, filter.GetName()) {
				names = append(names, filter.GetName())
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	answer := s.ConnectADS().WithType(v3.ExtensionConfigurationType).RequestResponseAck(t, &discovery.DiscoveryRequest{
		Node:          w.node(),
		ResourceNames: names,
	})
	found := map[string]*wasmfilterv3.Wasm{}
	for _, resource := range answer.GetResources() {
		extension, wasm := &corev3.TypedExtensionConfig{}, &wasmfilterv3.Wasm{}
		if err := resource.UnmarshalTo(extension); err != nil {
			t.Fatal(err)
		}
		if err := extension.GetTypedConfig().UnmarshalTo(wasm); err != nil {
			t.Fatal(err)
		}
		found[extension.GetName()] = wasm
	}
	return found
}

// seen tells where in a chain the filter stands, behind which of Istio's own, and
// what it is; empty if it is not there.
func seen(c chain, wasm map[string]*wasmfilterv3.Wasm, filter string) string {
	names := c.names()
	var found []string
	for i, f := range c.filters {
		if !strings.Contains(f.GetName(), filter) {
			continue
		}
		text := "behind"
		for _, name := range names[:i] {
			if short, ok := landmarkNames[name]; ok {
				text += " " + short
			}
		}
		if i == len(names)-2 && names[i+1] == "envoy.filters.http.router" {
			text += ", last"
		}
		found = append(found, text+"; "+describe(wasm[f.GetName()]))
		if urls := f.GetConfigDiscovery().GetTypeUrls(); !slices.Equal(slices.Sorted(slices.Values(urls)), []string{
			"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
			"type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
		}) {
			found = append(found, fmt.Sprintf("type URLs %v", urls))
		}
		if timeout := f.GetConfigDiscovery().GetConfigSource().GetInitialFetchTimeout(); timeout == nil || timeout.AsDuration() != 0 {
			found = append(found, "serves without the filter")
		}
	}
	return strings.Join(found, " AND ")
}

// landmarkNames are the filters that phases refer to; all of them are in every
// inbound and gateway chain.
var landmarkNames = map[string]string{
	"envoy.filters.http.jwt_authn": "authn",
	"envoy.filters.http.rbac":      "authz",
	"istio.stats":                  "stats",
}

func describe(wasm *wasmfilterv3.Wasm) string {
	if wasm == nil {
		return "NO RESOURCE"
	}
	config := wasm.GetConfig()
	vm := config.GetVmConfig()
	from := vm.GetCode().GetLocal().GetFilename()
	if remote := vm.GetCode().GetRemote(); remote != nil {
		from = strings.TrimSpace(remote.GetHttpUri().GetUri() + " " + remote.GetSha256())
	}
	text := fmt.Sprintf("%s from %s", config.GetFailurePolicy(), from)
	for _, value := range []struct {
		name string
		text *anypb.Any
	}{{"config", config.GetConfiguration()}, {"vm", vm.GetConfiguration()}} {
		content := &wrapperspb.StringValue{}
		if value.text.UnmarshalTo(content) == nil && content.GetValue() != "" {
			text += " " + value.name + " " + compact(content.GetValue())
		}
	}
	if env := vm.GetEnvironmentVariables(); env.GetKeyValues()["MODE"] != "" {
		text += fmt.Sprintf(" MODE=%s %v", env.GetKeyValues()["MODE"], env.GetHostEnvKeys())
	}
	return text
}

// compact writes JSON the way encoding/json does.
func compact(text string) string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return "NO JSON: " + text
	}
	out, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

const (
	oci = "oci://ghcr.io/acme/filters/%s:1.4.0@sha256:1234567890123456789012345678901234567890123456789012345678901234"
	url = "https://filters.example.com/%[1]s/1.4.0/%[1]s.wasm 0987654321098765432109876543210987654321098765432109876543210987"
)

// TestIstiod applies each golden file to istiod and compares what each kind of
// proxy would get: on exactly which chains the filter stands, where in them, from
// where it is pulled, and with which configuration.
func TestIstiod(t *testing.T) {
	files := goldenFiles(t)
	for name, test := range map[string]struct {
		proxy workload
		// want is by the chain's place; chains without the filter are left out.
		// Behind the filter's place, %s is where it is pulled from.
		wasm, envoyFilter map[string]string
	}{
		"sidecar": {
			sidecar,
			map[string]string{
				"0.0.0.0_8080":        "behind; FAIL_RELOAD from %s" + sidecarConfig,
				"virtualInbound:8080": "behind; FAIL_RELOAD from %s" + sidecarConfig,
			},
			map[string]string{
				"0.0.0.0_8080":        "behind stats, last; FAIL_RELOAD from %s" + sidecarConfigOut,
				"virtualInbound:8080": "behind authn authz stats, last; FAIL_RELOAD from %s" + sidecarConfigIn,
			},
		},
		"gateway": {
			webGateway,
			map[string]string{"0.0.0.0_443": `behind authn; FAIL_CLOSED from %s config {"header":"x-request-id"}`},
			map[string]string{"0.0.0.0_443": `behind authn authz stats, last; FAIL_CLOSED from %s config {"header":"x-request-id"}`},
		},
		"open": {
			ingressGateway,
			map[string]string{"0.0.0.0_80": "behind authn authz; FAIL_OPEN from %s"},
			map[string]string{"0.0.0.0_80": "behind authn authz stats, last; FAIL_OPEN from %s"},
		},
	} {
		for form, from := range sources(name) {
			want := test.wasm
			if strings.HasPrefix(form, "envoyfilter") {
				want = test.envoyFilter
			}
			t.Run(name+"/"+form, func(t *testing.T) {
				for _, proxy := range []workload{sidecar, otherSidecar, webGateway, ingressGateway} {
					chains, wasm, clusters := generate(t, proxy, files[name+"/"+form])
					got := map[string]string{}
					for _, c := range chains {
						text := seen(c, wasm, name)
						if before, ok := got[c.where]; ok && before != text {
							text = before + " BUT ELSEWHERE " + text
						}
						got[c.where] = text
					}
					maps.DeleteFunc(got, func(_, text string) bool { return text == "" })
					expect := map[string]string{}
					if proxy.id() == test.proxy.id() {
						for where, text := range want {
							expect[where] = fmt.Sprintf(text, from)
						}
					}
					if diff := cmp.Diff(expect, got); diff != "" {
						t.Errorf("%s: (-want +got)\n%s", proxy.id(), diff)
					}
					if has := slices.Contains(clusters, "wasm."+name); has != (proxy.id() == test.proxy.id() && form == objects.EnvoyFilterHTTP) {
						t.Errorf("%s: has the cluster wasm.%s: %v", proxy.id(), name, has)
					}
				}
			})
		}
	}
}

// The configuration of the filter "sidecar", as a phase's object and as an
// EnvoyFilter for either direction hand it over.
const (
	sidecarText      = ` config {"count":3,"enabled":true,"list":["a",{"b":"c"}],"on":"response","ratio":0.5,"text":"a: b\n---\nkind: Secret # \u003c\u0026\u003e"}`
	sidecarEnv       = ` MODE=1.50 [HOSTNAME]`
	sidecarConfig    = sidecarText + sidecarEnv
	sidecarConfigIn  = sidecarText + ` vm {"direction":"in"}` + sidecarEnv
	sidecarConfigOut = sidecarText + ` vm {"direction":"out"}` + sidecarEnv
)

// sources are the forms that istiod reads, and where each pulls from.
func sources(filter string) map[string]string {
	dir := "/var/local/wasm/"
	if filter == "sidecar" {
		dir = "/modules/"
	}
	return map[string]string{
		objects.WasmPluginOCI:        fmt.Sprintf(oci, filter),
		objects.WasmPluginHTTP:       fmt.Sprintf(url, filter),
		objects.TrafficExtensionOCI:  fmt.Sprintf(oci, filter),
		objects.TrafficExtensionHTTP: fmt.Sprintf(url, filter),
		objects.EnvoyFilterHTTP:      fmt.Sprintf(url, filter),
		objects.EnvoyFilterLocal:     dir + filter + "/1.4.0/" + filter + ".wasm",
	}
}

// A filter without a place of its own reaches every chain. From the root namespace, it
// reaches the chains of every namespace.
func TestIstiodEverywhere(t *testing.T) {
	files := goldenFiles(t)
	for _, form := range forms[:6] {
		object := strings.Replace(files["everywhere/"+form], "metadata:\n", "metadata:\n  namespace: istio-system\n", 1)
		for _, proxy := range []workload{sidecar, otherSidecar, webGateway, ingressGateway} {
			chains, wasm, _ := generate(t, proxy, object)
			if len(chains) == 0 {
				t.Errorf("%s has no chains", proxy.id())
			}
			for _, c := range chains {
				text := seen(c, wasm, "everywhere")
				if !strings.Contains(text, "FAIL_CLOSED from ") || strings.Contains(text, " AND ") {
					t.Errorf("%s: %s: %s: %q", form, proxy.id(), c.where, text)
				}
			}
		}
	}
}

// A filter that targets services is for waypoints. Sidecars and gateways do not get it.
func TestIstiodWaypoint(t *testing.T) {
	files := goldenFiles(t)
	for _, form := range forms[:4] {
		for _, proxy := range []workload{sidecar, otherSidecar, webGateway} {
			chains, wasm, _ := generate(t, proxy, files["waypoint/"+form])
			for _, c := range chains {
				if text := seen(c, wasm, "waypoint"); text != "" {
					t.Errorf("%s: %s: %s: %s", form, proxy.id(), c.where, text)
				}
			}
		}
	}
}

// The higher priority sees a request first, whatever the objects' names and whether
// they are applied as WasmPlugins or as EnvoyFilters.
func TestIstiodOrder(t *testing.T) {
	var request manifest.Request
	for name, priority := range map[string]int64{"first": 5, "second": 0, "a-third": -5} {
		apply := catalog.Apply{Namespace: "shop", FailStrategy: catalog.FailClose, Priority: priority}
		request.Filters = append(request.Filters, catalog.Filter{Name: name, Metadata: catalog.Metadata{Apply: &apply}})
		request.Releases = append(request.Releases, release(name))
	}
	request.HTTPBinImage = manifest.DefaultHTTPBinImage
	files, _, err := objects.Render(request)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range forms[:6] {
		var all []string
		for _, file := range files {
			if path.Base(path.Dir(file.Path)) == form && path.Base(file.Path) != "kustomization.yaml" {
				all = append(all, file.Content)
			}
		}
		chains, _, _ := generate(t, sidecar, strings.Join(all, "---\n"))
		for _, c := range chains {
			names := strings.Join(c.names(), " ")
			first, second, third := strings.Index(names, "first"), strings.Index(names, "second"), strings.Index(names, "a-third")
			if first < 0 || first > second || second > third {
				t.Errorf("%s: %s: %s", form, c.where, names)
			}
		}
	}
}

func release(filter string) manifest.Source {
	return manifest.Source{
		Filter: filter, Version: "1.4.0",
		Repository: "ghcr.io/acme/filters/" + filter, Tag: "1.4.0", ManifestDigest: "sha256:" + strings.Repeat("12345678", 8),
		URL: "https://filters.example.com/" + filter + ".wasm", WasmSHA256: strings.Repeat("87654321", 8),
	}
}
