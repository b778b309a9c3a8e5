package manifests

import (
	_ "istio.io/istio/pilot/test/xds"
	_ "istio.io/istio/pkg/config/crd"
	_ "istio.io/istio/pkg/config/schema/collections"
	_ "istio.io/istio/pkg/config/validation/envoyfilter"
	_ "istio.io/istio/pilot/pkg/config/kube/crd"
	_ "istio.io/istio/pkg/wasm"
	_ "istio.io/istio/manifests"
	_ "github.com/slipway-wasm/slipway/deploy/manifest/render/objects"
	_ "sigs.k8s.io/kustomize/api/krusty"
)
