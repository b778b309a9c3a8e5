package oci

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
)

// A module is read from all of Slipway's shapes, and from manifests of other
// publishers.
func TestReadModule(t *testing.T) {
	t.Parallel()
	filter := buildtest.Filter(t, "headers", "hello")
	want, err := os.ReadFile(filter.Module.Path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		shape Shape
		edit  func(m *ocispec.Manifest)
		read  Shape
		istio Answer
		err   string
	}{
		"artifact": {Artifact, func(*ocispec.Manifest) {}, Artifact, Accepts, ""},
		"compat":   {Compat, func(*ocispec.Manifest) {}, Compat, Accepts, ""},
		"cncf":     {CNCF, func(*ocispec.Manifest) {}, CNCF, Refuses, ""},
		"a stranger's, one layer": {Artifact, func(m *ocispec.Manifest) {
			m.Layers, m.Annotations = m.Layers[1:], nil
		}, "", Refuses, ""},
		"wasm-to-oci": {Artifact, func(m *ocispec.Manifest) {
			m.Layers = m.Layers[1:]
			m.Layers[0].MediaType = "application/vnd.wasm.content.layer.v1+wasm"
		}, "", Refuses, ""},
		"a README behind it": {Artifact, func(m *ocispec.Manifest) {
			readme := m.Config
			readme.MediaType = "text/markdown"
			m.Layers = append(m.Layers, readme)
		}, "", Refuses, ""},
		"no wasm": {Artifact, func(m *ocispec.Manifest) {
			m.Layers = m.Layers[:1]
		}, "", "", "no layer's media type says wasm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openTest(t, startRegistry(t, embedded.Options{}))
			image, err := NewImage(c.shape, filter, buildtest.Release("1.0.0"))
			if err != nil {
				t.Fatal(err)
			}
			var m ocispec.Manifest
			if err := json.Unmarshal(image.Manifest, &m); err != nil {
				t.Fatal(err)
			}
			c.edit(&m)
			publish(t, r, image.Blobs, m, "any")
			module, err := r.ReadModule(t.Context(), Reference{Repository: r.name("headers"), Tag: "any"})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error is %v, want %q in it", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(module.Wasm, want) || module.Shape != c.read || module.Consumers[0].Answer != c.istio {
				t.Errorf("%d bytes of %d, shape %q, Istio %q; want shape %q, Istio %q", len(module.Wasm), len(want), module.Shape, module.Consumers[0].Answer, c.read, c.istio)
			}
			if !strings.HasSuffix(module.Reference, "@"+module.ManifestDigest) {
				t.Errorf("%s is not pinned to %s", module.Reference, module.ManifestDigest)
			}
		})
	}
	r := openTest(t, startRegistry(t, embedded.Options{}))
	if _, err := r.ReadModule(t.Context(), Reference{Repository: r.name("headers"), Tag: "missing"}); err == nil {
		t.Error("a missing tag is read")
	}
}
