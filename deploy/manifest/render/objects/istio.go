package objects

import (
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	extensions "istio.io/api/extensions/v1alpha1"
	typeapi "istio.io/api/type/v1beta1"
	clientextensions "istio.io/client-go/pkg/apis/extensions/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// wasmPlugin returns the object that Istio has had since 1.12.
// Reference: https://istio.io/latest/docs/reference/config/proxy_extensions/wasm-plugin/
func wasmPlugin(s subject, from source) (any, string, error) {
	config, err := pluginStruct(s.apply)
	if err != nil {
		return nil, "", err
	}
	object := &clientextensions.WasmPlugin{
		TypeMeta:   metav1.TypeMeta{APIVersion: clientextensions.SchemeGroupVersion.String(), Kind: "WasmPlugin"},
		ObjectMeta: objectMeta(s),
		Spec: extensions.WasmPlugin{
			Selector:        podSelector(s.apply),
			TargetRefs:      targetRefs(s.apply),
			Url:             from.istioURL(),
			Sha256:          from.wasmSHA256,
			ImagePullSecret: from.pullSecret(s.apply),
			PluginConfig:    config,
			Phase:           extensions.PluginPhase(extensions.PluginPhase_value[s.apply.Phase]),
			Priority:        priority(s.apply),
			FailStrategy:    failStrategy(s.apply),
			VmConfig:        vmConfig(s.apply),
			Match:           wasmPluginMatch(s.apply),
		},
	}
	return explicit{object: object, at: []string{"spec"}, field: "failStrategy", value: s.apply.FailStrategy}, "", nil
}

// trafficExtension returns the successor of WasmPlugin, in Istio since 1.30.
// Reference: https://istio.io/latest/docs/reference/config/proxy_extensions/traffic-extension/
func trafficExtension(s subject, from source) (any, string, error) {
	config, err := pluginStruct(s.apply)
	if err != nil {
		return nil, "", err
	}
	object := &clientextensions.TrafficExtension{
		TypeMeta:   metav1.TypeMeta{APIVersion: clientextensions.SchemeGroupVersion.String(), Kind: "TrafficExtension"},
		ObjectMeta: objectMeta(s),
		Spec: extensions.TrafficExtension{
			Selector:   podSelector(s.apply),
			TargetRefs: targetRefs(s.apply),
			Phase:      extensions.TrafficExtension_ExecutionPhase(extensions.TrafficExtension_ExecutionPhase_value[s.apply.Phase]),
			Priority:   priority(s.apply),
			Match:      trafficExtensionMatch(s.apply),
			FilterConfig: &extensions.TrafficExtension_Wasm{Wasm: &extensions.WasmConfig{
				Url:             from.istioURL(),
				Sha256:          from.wasmSHA256,
				ImagePullSecret: from.pullSecret(s.apply),
				PluginConfig:    config,
				FailStrategy:    failStrategy(s.apply),
				VmConfig:        vmConfig(s.apply),
			}},
		},
	}
	return explicit{object: object, at: []string{"spec", "wasm"}, field: "failStrategy", value: s.apply.FailStrategy}, "", nil
}

// istioURL returns the module's URL. An oci:// URL is pinned by the manifest digest in it, an
// HTTP URL by the field sha256 beside it. (Beside an oci:// URL, that field would mean the
// manifest digest, too.)
func (from source) istioURL() string {
	if from.reference != "" {
		return "oci://" + from.reference
	}
	return from.url
}

// pullSecret applies to registries only: over HTTP the agent sends no credentials.
func (from source) pullSecret(a catalog.Apply) string {
	if from.reference == "" {
		return ""
	}
	return a.ImagePullSecret
}

func objectMeta(s subject) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:      s.Name,
		Namespace: s.apply.Namespace,
		// Reference: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
		Labels: map[string]string{
			"app.kubernetes.io/name":       s.Name,
			"app.kubernetes.io/version":    s.Version,
			"app.kubernetes.io/managed-by": "slipway",
		},
	}
}

func podSelector(a catalog.Apply) *typeapi.WorkloadSelector {
	if len(a.Selector) == 0 {
		return nil
	}
	return &typeapi.WorkloadSelector{MatchLabels: a.Selector}
}

func targetRefs(a catalog.Apply) []*typeapi.PolicyTargetReference {
	var refs []*typeapi.PolicyTargetReference
	for _, ref := range a.TargetRefs {
		refs = append(refs, &typeapi.PolicyTargetReference{Group: ref.APIGroup(), Kind: ref.Kind, Name: ref.Name})
	}
	return refs
}

func pluginStruct(a catalog.Apply) (*structpb.Struct, error) {
	config, _ := a.PluginConfig.(map[string]any)
	if len(config) == 0 {
		return nil, nil
	}
	return structpb.NewStruct(config)
}

// priority is always written. Without one, istiod takes the lowest priority, and not the 0
// that the API promises.
// Reference: https://github.com/istio/istio/blob/1.31.1/pilot/pkg/model/push_context.go
func priority(a catalog.Apply) *wrapperspb.Int32Value {
	return wrapperspb.Int32(int32(a.Priority))
}

func failStrategy(a catalog.Apply) extensions.FailStrategy {
	return extensions.FailStrategy(extensions.FailStrategy_value[a.FailStrategy])
}

func vmConfig(a catalog.Apply) *extensions.VmConfig {
	if len(a.VMConfig.Env) == 0 {
		return nil
	}
	config := &extensions.VmConfig{}
	for _, v := range a.VMConfig.Env {
		config.Env = append(config.Env, &extensions.EnvVar{
			Name:      v.Name,
			Value:     v.Value,
			ValueFrom: extensions.EnvValueSource(extensions.EnvValueSource_value[v.ValueFrom]),
		})
	}
	return config
}

// match returns the mode and the ports to match. everything says that they match everything;
// then they are not written.
func match(a catalog.Apply) (mode typeapi.WorkloadMode, ports []*typeapi.PortSelector, everything bool) {
	mode = typeapi.WorkloadMode(typeapi.WorkloadMode_value[a.EffectiveMode()])
	if a.Port != 0 {
		ports = []*typeapi.PortSelector{{Number: uint32(a.Port)}}
	}
	return mode, ports, ports == nil && mode == typeapi.WorkloadMode_CLIENT_AND_SERVER
}

func wasmPluginMatch(a catalog.Apply) []*extensions.WasmPlugin_TrafficSelector {
	mode, ports, everything := match(a)
	if everything {
		return nil
	}
	return []*extensions.WasmPlugin_TrafficSelector{{Mode: mode, Ports: ports}}
}

func trafficExtensionMatch(a catalog.Apply) []*extensions.TrafficSelector {
	mode, ports, everything := match(a)
	if everything {
		return nil
	}
	return []*extensions.TrafficSelector{{Mode: mode, Ports: ports}}
}
