package objects

import (
	"slices"
	"strings"

	gateway "github.com/envoyproxy/gateway/api/v1alpha1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// envoyExtensionPolicy returns the object for Envoy Gateway.
// Reference: https://gateway.envoyproxy.io/docs/api/extension_types/#envoyextensionpolicy
func envoyExtensionPolicy(s subject, from source) (any, string, error) {
	targets, reason := policyTargets(s.apply)
	if reason != "" {
		return nil, reason, nil
	}
	env, reason := policyEnv(s.apply)
	if reason != "" {
		return nil, reason, nil
	}
	wasm := gateway.Wasm{
		Name:     &s.Name,
		Code:     policyCode(from, s.apply),
		FailOpen: new(s.apply.FailStrategy == catalog.FailOpen),
		Env:      env,
	}
	if text := configText(s.apply); text != "" {
		wasm.Config = &apiextensionsv1.JSON{Raw: []byte(text)}
	}
	return &gateway.EnvoyExtensionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: gateway.GroupVersion.String(), Kind: gateway.KindEnvoyExtensionPolicy},
		ObjectMeta: objectMeta(s),
		Spec:       gateway.EnvoyExtensionPolicySpec{PolicyTargetReferences: targets, Wasm: []gateway.Wasm{wasm}},
	}, "", nil
}

func policyTargets(a catalog.Apply) (targets gateway.PolicyTargetReferences, reason string) {
	if !slices.Contains(a.EffectiveContexts(), catalog.ContextGateway) {
		return targets, "it has no gateway context"
	}
	for _, ref := range a.TargetRefs {
		if ref.Kind != "Gateway" {
			return targets, "Envoy Gateway attaches to no " + ref.Kind
		}
		targets.TargetRefs = append(targets.TargetRefs, gwapiv1.LocalPolicyTargetReferenceWithSectionName{
			LocalPolicyTargetReference: gwapiv1.LocalPolicyTargetReference{
				Group: gwapiv1.Group(ref.APIGroup()), Kind: gwapiv1.Kind(ref.Kind), Name: gwapiv1.ObjectName(ref.Name),
			},
		})
	}
	if len(targets.TargetRefs) == 0 {
		// Every Gateway of the namespace, or those with the given labels.
		targets.TargetSelectors = []gateway.TargetSelector{{Kind: "Gateway", MatchLabels: a.Selector}}
	}
	return targets, ""
}

func policyEnv(a catalog.Apply) (*gateway.WasmEnv, string) {
	if len(a.VMConfig.Env) == 0 {
		return nil, ""
	}
	env := &gateway.WasmEnv{}
	for _, v := range a.VMConfig.Env {
		if v.ValueFrom != catalog.ValueHost {
			return nil, "Envoy Gateway hands on the proxy's own variables only, and " + v.Name + " has a value"
		}
		env.HostKeys = append(env.HostKeys, v.Name)
	}
	return env, ""
}

func policyCode(from source, a catalog.Apply) gateway.WasmCodeSource {
	if from.reference == "" {
		return gateway.WasmCodeSource{
			Type: gateway.HTTPWasmCodeSourceType,
			HTTP: &gateway.HTTPWasmCodeSource{URL: from.url, SHA256: &from.wasmSHA256},
		}
	}
	// In this field, sha256 is the manifest's digest.
	sum := strings.TrimPrefix(from.manifestDigest, "sha256:")
	image := &gateway.ImageWasmCodeSource{URL: from.reference, SHA256: &sum}
	if a.ImagePullSecret != "" {
		image.PullSecretRef = &gwapiv1.SecretObjectReference{Name: gwapiv1.ObjectName(a.ImagePullSecret)}
	}
	return gateway.WasmCodeSource{Type: gateway.ImageWasmCodeSourceType, Image: image}
}
