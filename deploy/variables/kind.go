package variables

// Kind is what kind:up and kind:smoke read.
type Kind struct {
	NodeImage     string   `env:"KIND_NODE_IMAGE" group:"kind" doc:"node image for kind:up" default:"that of the linked release of kind"`
	IstioHub      string   `env:"ISTIO_HUB" group:"kind" doc:"registry and path of Istio's images pilot and proxyv2 for kind:up" default:"docker.io/istio"`
	IstioTag      string   `env:"ISTIO_TAG" group:"kind" doc:"tag of these images, and version of the charts in a Helm repository" default:"1.31.1"`
	IstioCharts   string   `env:"ISTIO_CHARTS" group:"kind" doc:"Helm repository (https:// or oci://) or folder with Istio's charts base and istiod" default:"https://blob.istio.io/istio-release/charts"`
	IstioValues   []string `env:"ISTIO_VALUES" group:"kind" doc:"Helm values files for the chart istiod, separated by commas" default:"none"`
	RegistryImage string   `env:"REGISTRY_IMAGE" group:"kind" doc:"image of the registry that kind:up and kind:smoke start, listening on port 5000" default:"registry:2"`
}
