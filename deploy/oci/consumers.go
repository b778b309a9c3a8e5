package oci

import (
	"encoding/json"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

// Answer is what a consumer does with a manifest.
type Answer string

// The answers.
const (
	Accepts       Answer = "accepts"
	Refuses       Answer = "refuses"
	NotApplicable Answer = "n/a"
)

// Verdict is what one consumer does with a manifest, and why.
type Verdict struct {
	// Consumer is the consumer's name.
	Consumer string `json:"consumer"`
	// Answer is what it does.
	Answer Answer `json:"answer"`
	// Reason is the reason in one line, for people.
	Reason string `json:"reason"`
}

// consumers are the rules that Judge asks, each written from its consumer's source.
var consumers = []struct {
	name string
	rule func(manifest) (Answer, string)
}{
	{"Istio", istioRule},
	{"Envoy Gateway", istioRule}, // internal/wasm is a copy of Istio's fetcher
	{"wkg", wkgRule},
	{"plain Envoy", envoyRule},
}

// Judge says what each consumer does with a manifest of the given media type. It looks
// only at the manifest. Verify also checks that the layers hold what their media types
// promise.
func Judge(mediaType string, content []byte) ([]Verdict, error) {
	m, err := parseManifest(mediaType, content)
	if err != nil {
		return nil, err
	}
	verdicts := make([]Verdict, len(consumers))
	for i, c := range consumers {
		answer, reason := c.rule(m)
		verdicts[i] = Verdict{Consumer: c.name, Answer: answer, Reason: reason}
	}
	return verdicts, nil
}

// manifest is a manifest as consumers see it.
type manifest struct {
	ocispec.Manifest
	index bool
}

func parseManifest(mediaType string, content []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(content, &m.Manifest); err != nil {
		return manifest{}, finding.Mismatch(fmt.Errorf("read the manifest: %w", err))
	}
	if !isManifest(mediaType) {
		return manifest{}, finding.Mismatch(fmt.Errorf("%q is not a manifest's media type", mediaType))
	}
	m.index = mediaType == ocispec.MediaTypeImageIndex || mediaType == mediaTypeDockerList
	m.MediaType = mediaType
	return m, nil
}

func isManifest(mediaType string) bool {
	switch mediaType {
	case ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, mediaTypeDockerManifest, mediaTypeDockerList:
		return true
	}
	return false
}

// Media types of docker's own images.
//
// Reference: https://distribution.github.io/distribution/spec/manifest-v2-2/#media-types
const (
	mediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaTypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	mediaTypeDockerConfig   = "application/vnd.docker.container.image.v1+json"
	mediaTypeDockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// shape is the form of a manifest; empty if it is none of Slipway's. An image that docker
// built has the compat shape, as for Istio.
func (m manifest) shape() Shape {
	if m.index || len(m.Layers) == 0 {
		return ""
	}
	last := m.Layers[len(m.Layers)-1].MediaType
	switch {
	case m.Config.MediaType == mediaTypeCNCFConfig && len(m.Layers) == 1 && last == mediaTypeCNCFLayer:
		return CNCF
	case m.image():
		return Compat
	case len(m.Layers) == 2 && m.layer(mediaTypeModuleLayer) != nil:
		return Artifact
	}
	return ""
}

// image reports whether a manifest is an image with the last layer that Istio reads. Docker's
// images have media types of their own.
func (m manifest) image() bool {
	want := ocispec.MediaTypeImageLayerGzip
	if m.MediaType == mediaTypeDockerManifest {
		want = mediaTypeDockerLayer
	}
	return m.Layers[len(m.Layers)-1].MediaType == want
}

// layer is the first layer with a media type.
func (m manifest) layer(mediaType string) *ocispec.Descriptor {
	for i, layer := range m.Layers {
		if layer.MediaType == mediaType {
			return &m.Layers[i]
		}
	}
	return nil
}

// wasmLayer is the layer that holds the module.
func (m manifest) wasmLayer() ocispec.Descriptor {
	if m.shape() == Artifact {
		return *m.layer(mediaTypeModuleLayer)
	}
	return m.Layers[len(m.Layers)-1]
}

// istioRule is what Istio's agent does. Envoy Gateway's controller does the same, with
// a copy of its code.
//
// Reference: https://github.com/istio/istio/blob/master/pkg/wasm/imagefetcher.go
func istioRule(m manifest) (Answer, string) {
	if m.index {
		return Refuses, "it is an index: pinned by its digest it never matches, because the digest of the manifest in it is compared; publish one plain manifest"
	}
	if len(m.Layers) == 0 {
		return Refuses, "it has no layer"
	}
	last := m.Layers[len(m.Layers)-1].MediaType
	switch {
	case m.image():
		return Accepts, "as an image whose last layer holds plugin.wasm (compat)"
	case m.MediaType == mediaTypeDockerManifest:
		return Refuses, fmt.Sprintf("the last layer of a docker image has to be %s, this one is %s", mediaTypeDockerLayer, last)
	case len(m.Layers) != 2:
		return Refuses, fmt.Sprintf("an artifact has to have two layers, config and module, and this one has %d; as an image its last layer would have to be %s, and is %s", len(m.Layers), ocispec.MediaTypeImageLayerGzip, last)
	case m.layer(mediaTypeModuleLayer) == nil:
		return Refuses, fmt.Sprintf("none of its layers is %s: they are %s and %s", mediaTypeModuleLayer, m.Layers[0].MediaType, last)
	}
	return Accepts, "as an artifact with the raw wasm (oci)"
}

// wkgRule is what wkg does. wash and runwasi do the same, with the same library or
// layout.
//
// References:
//   - https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/
//   - https://docs.rs/oci-wasm/latest/src/oci_wasm/client.rs.html
func wkgRule(m manifest) (Answer, string) {
	if m.shape() == CNCF {
		return Accepts, "as a CNCF wasm artifact"
	}
	if m.index {
		return Refuses, "it is an index"
	}
	return Refuses, fmt.Sprintf("it reads a config of type %s and exactly one layer, of type %s", mediaTypeCNCFConfig, mediaTypeCNCFLayer)
}

// envoyRule is what Envoy does by itself.
//
// Reference: https://github.com/envoyproxy/envoy/issues/33212
func envoyRule(manifest) (Answer, string) {
	return NotApplicable, "it reads no registry: give it a file, or a URL with the wasm sha256"
}
