package oci

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Shape is a form of manifest. No single form serves all consumers, so each has its own
// tags: 1.4.0, compat-1.4.0, cncf-1.4.0. The shape is a prefix that begins with a
// letter, so that it can be neither a version nor a part of one: 1.4.0-compat would be
// a pre-release of 1.4.0.
type Shape string

const (
	// Artifact is the two-layer artifact that Istio and Envoy Gateway read, with
	// the raw wasm: the layer's digest is the wasm sha256. It is the default.
	//
	// Reference: https://github.com/solo-io/wasm/blob/master/spec/spec.md#format
	Artifact Shape = "artifact"
	// Compat is a container image with plugin.wasm in its only layer. Istio and
	// Envoy Gateway read it too, and registries that accept nothing but images
	// store it.
	//
	// Reference: https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md#specification
	Compat Shape = "compat"
	// CNCF is the artifact that wkg, wash and runwasi read. Istio does not.
	//
	// Reference: https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/
	CNCF Shape = "cncf"
)

// Shapes are all shapes, with the default first.
var Shapes = []Shape{Artifact, Compat, CNCF}

// ParseShape reads the name of a shape.
func ParseShape(name string) (Shape, error) {
	if shape := Shape(name); slices.Contains(Shapes, shape) {
		return shape, nil
	}
	return "", fmt.Errorf("shape %q does not exist; choose among %s, %s and %s", name, Artifact, Compat, CNCF)
}

// tag is the tag of a version, or of a range of versions, in this shape.
func (s Shape) tag(version string) string {
	if s == Artifact {
		return version
	}
	return string(s) + "-" + version
}

// Media types that the shapes are made of.
const (
	// Reference: https://github.com/solo-io/wasm/blob/master/spec/spec.md#format
	mediaTypeModuleConfig = "application/vnd.module.wasm.config.v1+json"
	mediaTypeModuleLayer  = "application/vnd.module.wasm.content.layer.v1+wasm"
	// Reference: https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/
	mediaTypeCNCFConfig = "application/vnd.wasm.config.v0+json"
	mediaTypeCNCFLayer  = "application/wasm"
)

// Annotations of Slipway's manifests, besides the OCI set.
const (
	// AnnotationFilter is the filter's name.
	AnnotationFilter = "io.github.slipway-wasm.filter"
	// AnnotationWasmSHA256 is the sha256 of the module, in lowercase hex. It is
	// not the manifest digest.
	AnnotationWasmSHA256 = "io.github.slipway-wasm.wasm-sha256"
	// AnnotationCompiler is the compiler, its version and the Go release.
	AnnotationCompiler = "io.github.slipway-wasm.compiler"
	// AnnotationSDK is the version of proxy-wasm-go-sdk.
	AnnotationSDK = "io.github.slipway-wasm.proxy-wasm-go-sdk"
	// AnnotationABI is the proxy-wasm ABI version, for example "0.2.0".
	AnnotationABI = "io.github.slipway-wasm.proxy-wasm-abi"
	// AnnotationEnvoyMin is the lowest Envoy version, as major.minor, that offers
	// every function that the module imports.
	AnnotationEnvoyMin = "io.github.slipway-wasm.envoy-min"
	// AnnotationEnvoyTested is the lowest Envoy version that the filter was
	// tested with.
	AnnotationEnvoyTested = "io.github.slipway-wasm.envoy-tested"
	// annotationVariant is a convention among tools that write the compat shape.
	//
	// Reference: https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md#annotation
	annotationVariant = "module.wasm.image/variant"
)

// Image is a manifest and the blobs that it refers to.
type Image struct {
	// Filter is the filter, and Version the version that it was made of.
	Filter  build.Built
	Version version.Version
	// Shape is the manifest's form.
	Shape Shape
	// Descriptor holds the manifest digest.
	Descriptor ocispec.Descriptor
	// Manifest is the manifest's content, and Annotations are those in it.
	Manifest    []byte
	Annotations map[string]string
	// Blobs are the config and the layers, each once.
	Blobs []Blob
}

// Blob is content that can be read any number of times.
type Blob struct {
	ocispec.Descriptor
	// Open returns the content from its beginning.
	Open func() (io.ReadCloser, error)
}

// tag is the tag of the image's version.
func (i *Image) tag() string { return i.Shape.tag(i.Version.String()) }

// read returns the content of a small blob.
func (b Blob) read() ([]byte, error) {
	body, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return content.ReadAll(body, b.Descriptor)
}

// NewImages builds the images of a release's filters in some shapes, side by side, in
// the order of the filters and shapes. Default shape: Artifact.
func NewImages(release build.Release, shapes ...Shape) ([]*Image, error) {
	if len(shapes) == 0 {
		shapes = []Shape{Artifact}
	}
	images := make([]*Image, len(release.Filters)*len(shapes))
	return images, concurrent.Each(parallel, images, func(i int, _ *Image) (err error) {
		images[i], err = NewImage(shapes[i%len(shapes)], release.Filters[i/len(shapes)], release)
		return err
	})
}

// NewImage builds a filter's image in one of the shapes. Only the compat shape reads
// the module's file, because its layer is a compressed archive. No module is held in
// memory.
func NewImage(shape Shape, filter build.Built, release build.Release) (*Image, error) {
	image, err := newImage(shape, filter, release)
	if err != nil {
		return nil, fmt.Errorf("make the %s image of %s %s: %w", shape, filter.Module.Name, release.Version, err)
	}
	return image, nil
}

func newImage(shape Shape, filter build.Built, release build.Release) (*Image, error) {
	release.Created = release.Created.UTC().Truncate(time.Second)
	wasm, err := wasmBlob(filter.Module)
	if err != nil {
		return nil, err
	}
	manifest := ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Annotations: annotations(filter, release),
	}
	var config, layer Blob
	switch shape {
	case Artifact:
		// Only a runtime reads its content; Istio looks at the layer's media type. It
		// has to be a layer for Istio, and registries want a config.
		config = emptyConfig()
		layer = wasm
		layer.MediaType = mediaTypeModuleLayer
		layer.Annotations = title(filter.Module.Name + ".wasm")
		manifest.Layers = []ocispec.Descriptor{config.Descriptor, layer.Descriptor}
	case Compat:
		var diffID digest.Digest
		if layer, diffID, err = compatLayer(wasm); err != nil {
			return nil, err
		}
		if config, err = jsonBlob(ocispec.MediaTypeImageConfig, ocispec.Image{
			Created:  &release.Created,
			Platform: ocispec.Platform{Architecture: "wasm", OS: "wasip1"},
			RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
		}); err != nil {
			return nil, err
		}
		manifest.Layers = []ocispec.Descriptor{layer.Descriptor}
		manifest.Annotations[annotationVariant] = "compat"
	case CNCF:
		layer = wasm
		layer.MediaType = mediaTypeCNCFLayer
		if config, err = jsonBlob(mediaTypeCNCFConfig, cncfConfig{
			Created:      release.Created,
			Architecture: "wasm",
			OS:           "wasip1",
			LayerDigests: []digest.Digest{layer.Digest},
		}); err != nil {
			return nil, err
		}
		manifest.Layers = []ocispec.Descriptor{layer.Descriptor}
	default:
		return nil, fmt.Errorf("shape %q does not exist", shape)
	}
	manifest.Config = config.Descriptor
	content, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	return &Image{
		Filter:      filter,
		Version:     release.Version,
		Shape:       shape,
		Descriptor:  describe(ocispec.MediaTypeImageManifest, content),
		Manifest:    content,
		Annotations: manifest.Annotations,
		Blobs:       []Blob{config, layer},
	}, nil
}

// cncfConfig is the config of the CNCF shape.
//
// Reference: https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/
type cncfConfig struct {
	Created      time.Time       `json:"created"`
	Architecture string          `json:"architecture"`
	OS           string          `json:"os"`
	LayerDigests []digest.Digest `json:"layerDigests"`
}

// annotations says where a module comes from and what it needs.
//
// Reference: https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md#pre-defined-annotation-keys
func annotations(filter build.Built, release build.Release) map[string]string {
	record := filter.Module.Record
	all := map[string]string{
		ocispec.AnnotationTitle:       filter.Metadata.Title,
		ocispec.AnnotationDescription: filter.Metadata.Description,
		ocispec.AnnotationLicenses:    filter.Metadata.License,
		ocispec.AnnotationVersion:     release.Version.String(),
		ocispec.AnnotationRevision:    release.Revision,
		ocispec.AnnotationSource:      release.Source,
		ocispec.AnnotationCreated:     release.Created.Format(time.RFC3339),
		AnnotationFilter:              record.Name,
		AnnotationWasmSHA256:          record.WasmSHA256,
		AnnotationCompiler:            strings.TrimSpace(fmt.Sprintf("%s %s %s", record.Compiler.Name, record.Compiler.Version, record.Compiler.GoVersion)),
		AnnotationSDK:                 record.SDKVersion(),
		AnnotationABI:                 record.ABI,
		AnnotationEnvoyMin:            record.EnvoyMin,
		AnnotationEnvoyTested:         release.EnvoyTested,
	}
	for key, value := range all {
		if value == "" {
			delete(all, key)
		}
	}
	return all
}

func title(name string) map[string]string {
	return map[string]string{ocispec.AnnotationTitle: name}
}

// wasmBlob is the module as its record describes it. If the file has changed since, its
// reader finds that by the digest.
func wasmBlob(module build.Module) (Blob, error) {
	sum := digest.NewDigestFromEncoded(digest.SHA256, module.WasmSHA256)
	if err := sum.Validate(); err != nil {
		return Blob{}, fmt.Errorf("wasm sha256 %q in its record: %w", module.WasmSHA256, err)
	}
	return Blob{
		Descriptor: ocispec.Descriptor{Digest: sum, Size: module.Size},
		Open:       func() (io.ReadCloser, error) { return os.Open(module.Path) },
	}, nil
}

func jsonBlob(mediaType string, value any) (Blob, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return Blob{}, err
	}
	return bytesBlob(mediaType, content), nil
}

func bytesBlob(mediaType string, content []byte) Blob {
	return Blob{
		Descriptor: describe(mediaType, content),
		Open:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

func describe(mediaType string, content []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}
