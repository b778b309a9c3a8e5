// Package config reads Slipway's environment variables.
//
// They are read in one place, into one struct, so that the page that documents
// them can be checked against it, and so that the packages that do the work take
// plain options and can be used without any environment.
package config

import (
	"fmt"
	"reflect"
	"time"

	"github.com/caarlos0/env/v11"
)

// Config is what the environment says. Each field's tags name the variable, its
// default and what it is for.
type Config struct {
	Filters       []string `env:"FILTERS" doc:"filters to work on, separated by commas" default:"all"`
	Compiler      string   `env:"COMPILER" doc:"compiler for the filters: go or tinygo" default:"tinygo where it is installed, else go"`
	GoToolchain   string   `env:"FILTER_GOTOOLCHAIN" doc:"Go release to build the filters with, for example go1.23.12" default:"the pinned release of each compiler"`
	EnvoyPath     string   `env:"ENVOY_PATH" doc:"Envoy binary to run, instead of finding or downloading one" default:"none"`
	EnvoyVersions []string `env:"ENVOY_VERSIONS" doc:"Envoy versions to run e2e with, separated by commas" default:"1.40.0"`

	Registry          string   `env:"REGISTRY" doc:"registry and path for the filters, for example ghcr.io/acme/filters, or oci-layout:DIR" default:"an embedded registry in dist/registry"`
	RegistryUsername  string   `env:"REGISTRY_USERNAME" doc:"user name for the registry" default:"the docker credential store's"`
	RegistryPassword  string   `env:"REGISTRY_PASSWORD" doc:"password or token for the registry" default:"the docker credential store's"`
	RegistryPlainHTTP bool     `env:"REGISTRY_PLAIN_HTTP" doc:"talk to the registry without TLS" default:"false, but true for a loopback address"`
	Shapes            []string `env:"SHAPES" doc:"manifest shapes to push, separated by commas: artifact, compat, cncf" default:"artifact"`
	StorageURL        string   `env:"STORAGE_URL" doc:"storage for the filters: gs://, s3://, azblob:// with a bucket and a prefix, file:///FOLDER, or https:// for PUT" default:"an embedded storage in dist/storage"`
	StoragePublicURL  string   `env:"STORAGE_PUBLIC_URL" doc:"where readers fetch what is in STORAGE_URL, without credentials" default:"STORAGE_URL, if that is https"`
	StorageUsername   string   `env:"STORAGE_USERNAME" doc:"user name for an https STORAGE_URL" default:"none"`
	StoragePassword   string   `env:"STORAGE_PASSWORD" doc:"password for an https STORAGE_URL" default:"none"`
	StorageToken      string   `env:"STORAGE_TOKEN" doc:"bearer token for an https STORAGE_URL, in place of name and password" default:"none"`

	SignKey          string `env:"SIGN_KEY" doc:"private key to sign with: a file of cosign generate-key-pair, or a key in awskms://, gcpkms://, azurekms:// or hashivault://" default:"none: keyless in GitHub Actions, a key that nobody keeps in the embedded registry"`
	CosignPassword   string `env:"COSIGN_PASSWORD" doc:"password of the file SIGN_KEY" default:"none"`
	FulcioURL        string `env:"FULCIO_URL" doc:"Fulcio of a private sigstore, for keyless signatures" default:"the public one"`
	RekorURL         string `env:"REKOR_URL" doc:"transparency log of a private sigstore; with SIGN_KEY, the log to write to" default:"the public one; with SIGN_KEY, none"`
	TimestampURL     string `env:"TIMESTAMP_URL" doc:"timestamp authority of a private sigstore; with SIGN_KEY, the authority to ask" default:"the public one; with SIGN_KEY, none"`
	TrustedRoot      string `env:"TRUSTED_ROOT" doc:"file with the trusted root of a private sigstore, as cosign trusted-root create writes it" default:"the public one, by TUF"`
	VerifyKey        string `env:"VERIFY_KEY" doc:"public key, a file or as SIGN_KEY, whose signatures verify accepts" default:"none; in the embedded registry that of the rehearsal"`
	VerifyIdentity   string `env:"VERIFY_IDENTITY" doc:"identity whose keyless signatures verify accepts, to the letter, such as https://github.com/acme/filters/.github/workflows/release.yml@refs/tags/v1.4.0" default:"none"`
	VerifyIssuer     string `env:"VERIFY_ISSUER" doc:"who vouches for VERIFY_IDENTITY, such as https://token.actions.githubusercontent.com" default:"none"`
	VerifyRepository string `env:"VERIFY_REPOSITORY" doc:"repository whose workflow has to have signed, where others call the same reusable workflow, such as https://github.com/acme/filters" default:"any"`

	HTTPBinImage string `env:"HTTPBIN_IMAGE" doc:"image of the httpbin that render adds to try filters on, with a tag, a digest or both" default:"mccutchen/go-httpbin:v2.26.0"`

	KindNodeImage string   `env:"KIND_NODE_IMAGE" doc:"node image for kind:up" default:"that of the linked release of kind"`
	IstioHub      string   `env:"ISTIO_HUB" doc:"registry and path of Istio's images pilot and proxyv2 for kind:up" default:"docker.io/istio"`
	IstioTag      string   `env:"ISTIO_TAG" doc:"tag of these images, and version of the charts in a Helm repository" default:"1.31.1"`
	IstioCharts   string   `env:"ISTIO_CHARTS" doc:"Helm repository (https:// or oci://) or folder with Istio's charts base and istiod" default:"https://blob.istio.io/istio-release/charts"`
	IstioValues   []string `env:"ISTIO_VALUES" doc:"Helm values files for the chart istiod, separated by commas" default:"none"`
	RegistryImage string   `env:"REGISTRY_IMAGE" doc:"image of the registry that kind:up and kind:smoke start, listening on port 5000" default:"registry:2"`

	BenchWasm []string `env:"BENCH_WASM" doc:"wasm files for bench to measure beside the filters, separated by commas; one whose name begins with a filter's is configured like it" default:"none"`
	BenchOnly string   `env:"BENCH_ONLY" doc:"the one part to bench: filters or pipeline" default:"both"`
	BenchAll  bool     `env:"BENCH_ALL" doc:"bench with an upstream, further configurations and more rounds, and the pipeline with 50 filters and all its releases" default:"false"`

	TransferTimeout time.Duration `env:"TRANSFER_TIMEOUT" doc:"how long a target may take to publish or read, with all retries, for example 10m" default:"30m"`
}

// FromEnv reads the environment. An error names the variable at fault and never
// its value, which may be a secret.
func FromEnv() (Config, error) {
	c, err := env.ParseAs[Config]()
	if err != nil {
		return Config{}, fmt.Errorf("read the environment: %w", err)
	}
	return c, nil
}

// Variable describes one environment variable.
type Variable struct {
	Name    string
	Default string // what holds when it is not set, for people
	Doc     string
}

// Variables lists every variable that Config has, in its order.
func Variables() []Variable {
	var list []Variable
	for field := range reflect.TypeFor[Config]().Fields() {
		list = append(list, Variable{
			Name:    field.Tag.Get("env"),
			Default: field.Tag.Get("default"),
			Doc:     field.Tag.Get("doc"),
		})
	}
	return list
}
