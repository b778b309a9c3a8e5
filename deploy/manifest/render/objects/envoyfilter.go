package objects

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	wasmfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1alpha3"
	clientnetworking "istio.io/client-go/pkg/apis/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
)

// patchContexts are Istio's names for the contexts, and the VM configuration that tells a
// filter in which context it runs. In a gateway, a filter that has to know its context can ask
// for the property xds.listener_direction.
var patchContexts = map[string]struct {
	context         networking.EnvoyFilter_PatchContext
	vmConfiguration string
}{
	catalog.ContextInbound:  {networking.EnvoyFilter_SIDECAR_INBOUND, `{"direction":"in"}`},
	catalog.ContextOutbound: {networking.EnvoyFilter_SIDECAR_OUTBOUND, `{"direction":"out"}`},
	catalog.ContextGateway:  {networking.EnvoyFilter_GATEWAY, ""},
}

func envoyFilterRemote(s subject) ([]any, string, error) {
	if s.URL == "" {
		return nil, notInStorage, nil
	}
	return envoyFilter(s, envoyconf.Remote{
		URL:    s.URL,
		SHA256: s.WasmSHA256,
		// The name is the filter's own: istiod's metrics count it as a mistake if two
		// EnvoyFilters add the same name.
		Cluster: "wasm." + s.Name,
	})
}

func envoyFilterLocal(s subject) ([]any, string, error) {
	dir := cmp.Or(s.apply.ModulesDir, catalog.DefaultModulesDir)
	// The version is in the path because Envoy loads a file once: it would not notice other
	// bytes under the same name.
	return envoyFilter(s, envoyconf.Local{Path: path.Join(dir, s.Name, s.Version, s.Name+".wasm")})
}

// envoyFilter covers what the other objects cannot express: VMs with a configuration, local
// files, an older Istio.
// Reference: https://istio.io/latest/docs/reference/config/networking/envoy-filter/
func envoyFilter(s subject, from envoyconf.Source) ([]any, string, error) {
	if slices.ContainsFunc(s.apply.TargetRefs, forWaypoints) {
		return nil, "a targetRef's kind is for waypoints, which no EnvoyFilter reaches", nil
	}
	object := &clientnetworking.EnvoyFilter{
		TypeMeta:   metav1.TypeMeta{APIVersion: clientnetworking.SchemeGroupVersion.String(), Kind: "EnvoyFilter"},
		ObjectMeta: objectMeta(s),
		Spec: networking.EnvoyFilter{
			TargetRefs: targetRefs(s.apply),
			// Patches with a low number come first. Each puts its filter right before the
			// router, behind the filters of earlier patches.
			Priority: int32(-s.apply.Priority),
		},
	}
	if len(s.apply.Selector) > 0 {
		object.Spec.WorkloadSelector = &networking.WorkloadSelector{Labels: s.apply.Selector}
	}
	var clusters []*clusterv3.Cluster
	for _, context := range s.apply.EffectiveContexts() {
		wasm, needs, err := envoyconf.BuildFilter(wasmFilter(s, context, from))
		if err != nil {
			return nil, "", err
		}
		clusters = needs
		pair, err := ecdsPair(s, context, wasm)
		if err != nil {
			return nil, "", err
		}
		object.Spec.ConfigPatches = append(object.Spec.ConfigPatches, pair...)
	}
	for _, cluster := range clusters {
		patches, err := clusterPatches(s, cluster)
		if err != nil {
			return nil, "", err
		}
		object.Spec.ConfigPatches = append(object.Spec.ConfigPatches, patches...)
	}
	return []any{object}, "", nil
}

func forWaypoints(ref catalog.TargetRef) bool {
	return ref.Kind == "Service" || ref.Kind == "ServiceEntry"
}

// ecdsPair returns the filter's place in the chain and, separately, the configuration for that
// place. Istio's agent fetches modules only for the configuration:
// https://github.com/istio/istio/issues/25217
func ecdsPair(s subject, context string, wasm *wasmfilterv3.Wasm) ([]*networking.EnvoyFilter_EnvoyConfigObjectPatch, error) {
	config, err := anypb.New(wasm)
	if err != nil {
		return nil, err
	}
	name := ecdsName(s, context)
	discovery := &corev3.ExtensionConfigSource{
		ConfigSource: &corev3.ConfigSource{
			ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
			ResourceApiVersion:    corev3.ApiVersion_V3,
			// Wait without a limit: the listener must not serve without the filter.
			InitialFetchTimeout: durationpb.New(0),
		},
		// If a module cannot be fetched, the agent replaces the filter by an RBAC filter:
		// https://github.com/istio/istio/blob/1.31.1/pkg/wasm/convert.go
		TypeUrls: []string{typeURL(&wasmfilterv3.Wasm{}), typeURL(&rbacfilterv3.RBAC{})},
	}
	listener := &networking.EnvoyFilter_ListenerMatch{
		PortNumber: uint32(s.apply.Port),
		FilterChain: &networking.EnvoyFilter_ListenerMatch_FilterChainMatch{
			Filter: &networking.EnvoyFilter_ListenerMatch_FilterMatch{
				Name:      "envoy.filters.network.http_connection_manager",
				SubFilter: &networking.EnvoyFilter_ListenerMatch_SubFilterMatch{Name: "envoy.filters.http.router"},
			},
		},
	}
	place, err := patch(networking.EnvoyFilter_HTTP_FILTER, context, networking.EnvoyFilter_Patch_INSERT_BEFORE, &hcmv3.HttpFilter{
		Name:       name,
		ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: discovery},
	})
	if err != nil {
		return nil, err
	}
	place.Match.ObjectTypes = &networking.EnvoyFilter_EnvoyConfigObjectMatch_Listener{Listener: listener}
	resource, err := patch(networking.EnvoyFilter_EXTENSION_CONFIG, context, networking.EnvoyFilter_Patch_ADD, &corev3.TypedExtensionConfig{
		Name:        name,
		TypedConfig: config,
	})
	if err != nil {
		return nil, err
	}
	return []*networking.EnvoyFilter_EnvoyConfigObjectPatch{place, resource}, nil
}

// clusterPatches add the cluster of a remote source: once for a whole sidecar, because its
// clusters have no direction, and once for a gateway. Istio's agent fetches without the
// cluster; a proxy without the agent needs it.
func clusterPatches(s subject, cluster *clusterv3.Cluster) ([]*networking.EnvoyFilter_EnvoyConfigObjectPatch, error) {
	var patches []*networking.EnvoyFilter_EnvoyConfigObjectPatch
	contexts := s.apply.EffectiveContexts()
	for _, place := range []struct {
		context string
		wanted  bool
	}{
		{catalog.ContextOutbound, contexts[0] != catalog.ContextGateway},
		{catalog.ContextGateway, slices.Contains(contexts, catalog.ContextGateway)},
	} {
		if !place.wanted {
			continue
		}
		p, err := patch(networking.EnvoyFilter_CLUSTER, place.context, networking.EnvoyFilter_Patch_ADD, cluster)
		if err != nil {
			return nil, err
		}
		patches = append(patches, p)
	}
	return patches, nil
}

func patch(applyTo networking.EnvoyFilter_ApplyTo, context string, operation networking.EnvoyFilter_Patch_Operation, value proto.Message) (*networking.EnvoyFilter_EnvoyConfigObjectPatch, error) {
	content, err := toStruct(value)
	if err != nil {
		return nil, fmt.Errorf("patch of %s: %w", applyTo, err)
	}
	return &networking.EnvoyFilter_EnvoyConfigObjectPatch{
		ApplyTo: applyTo,
		Match:   &networking.EnvoyFilter_EnvoyConfigObjectMatch{Context: patchContexts[context].context},
		Patch:   &networking.EnvoyFilter_Patch{Operation: operation, Value: content},
	}, nil
}

// ecdsName is the filter's name in the chain and the name of its resource. It contains the
// context, because istiod hands out resources by name, whatever context their patch is for.
func ecdsName(s subject, context string) string { return s.Name + "." + context }

func typeURL(m proto.Message) string {
	return "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName())
}
