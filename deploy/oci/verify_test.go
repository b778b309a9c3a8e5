package oci

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/version"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, r *Registry) {
		filter := buildtest.Filter(t, "headers", "hello")
		push(t, r, "1.4.0", filter)
		if _, err := r.AttachSBOMs(t.Context(), buildtest.Release("1.4.0", filter)); err != nil {
			t.Fatal(err)
		}
		all, err := r.VerifyVersion(t.Context(), "headers", version.MustParse("1.4.0"))
		if err != nil || len(all) != len(Shapes) {
			t.Fatalf("%d shapes, error %v", len(all), err)
		}
		for i, v := range all {
			if err := v.Err(); err != nil {
				t.Error(err)
			}
			if v.Shape != Shapes[i] || v.WasmSHA256 != filter.Module.WasmSHA256 || v.WasmSize != filter.Module.Size || v.ABI != "0.2.0" || len(v.Referrers) != 1 {
				t.Errorf("%+v", v)
			}
			var text bytes.Buffer
			if err := v.Text(&text); err != nil {
				t.Error(err)
			}
			for _, want := range []string{": ok\n", v.ManifestDigest, v.WasmSHA256, "Istio", "1.4.0", TypeSBOM} {
				if !strings.Contains(text.String(), want) {
					t.Errorf("%q is missing in\n%s", want, text.String())
				}
			}
		}
	})
}

// TestVerifyFindsWhatIsWrong publishes, without Push, manifests that other tools and
// mistakes have produced.
func TestVerifyFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	filter := buildtest.Filter(t, "headers", "hello")
	refused := wasmtest.Filter()
	refused.Imports = append(refused.Imports, wasmtest.Func{Module: "wasi_snapshot_preview1", Name: "sock_listen", Signature: "ii:i"})
	for name, c := range map[string]struct {
		shape Shape
		tag   string
		edit  func(m *ocispec.Manifest, blobs *[]Blob)
		want  string
	}{
		"one layer": {Artifact, "1.0.0", func(m *ocispec.Manifest, _ *[]Blob) { m.Layers = m.Layers[1:] },
			"no consumer accepts it"},
		"README as third layer": {Artifact, "1.0.0", func(m *ocispec.Manifest, _ *[]Blob) { m.Layers = append(m.Layers, m.Config) },
			"no consumer accepts it"},
		"no config layer": {Artifact, "1.0.0", func(m *ocispec.Manifest, _ *[]Blob) { m.Layers[0].MediaType = "text/plain" },
			"none of its layers is " + mediaTypeModuleConfig},
		"other config": {Compat, "compat-1.0.0", func(m *ocispec.Manifest, _ *[]Blob) { m.Config.MediaType = "text/plain" },
			"its config is text/plain"},
		"other sum": {Artifact, "1.0.0", func(m *ocispec.Manifest, _ *[]Blob) {
			m.Annotations[AnnotationWasmSHA256] = strings.Repeat("0", 64)
		}, "annotation io.github.slipway-wasm.wasm-sha256 says 000"},
		"no annotations": {Artifact, "1.0.0", func(m *ocispec.Manifest, _ *[]Blob) { m.Annotations = nil },
			"annotation org.opencontainers.image.version is missing"},
		"other version": {Artifact, "1.0.1", func(*ocispec.Manifest, *[]Blob) {},
			`annotation org.opencontainers.image.version is "1.0.0", but its tag is 1.0.1`},
		"no time": {Artifact, "1.0.0", func(m *ocispec.Manifest, _ *[]Blob) { m.Annotations[ocispec.AnnotationCreated] = "yesterday" },
			`"yesterday", which is not a time`},
		"other shape's tag": {Artifact, "compat-1.0.0", func(*ocispec.Manifest, *[]Blob) {},
			"is for the compat shape"},
		"form of no shape": {Compat, "compat-1.0.0", func(m *ocispec.Manifest, _ *[]Blob) {
			m.Layers[0].MediaType = "application/vnd.docker.image.rootfs.diff.tar.gzip"
		}, "its module was not read"},
		"missing layer": {Artifact, "1.0.0", func(m *ocispec.Manifest, _ *[]Blob) { m.Layers[1].Digest = digest.FromString("nowhere") },
			"not found"},
		"other size": {Artifact, "1.0.0", func(m *ocispec.Manifest, _ *[]Blob) { m.Layers[1].Size++ },
			"read blob sha256:"},
		"too large": {Artifact, "1.0.0", func(m *ocispec.Manifest, _ *[]Blob) { m.Layers[1].Size = 1 << 40 },
			"proxies read no more than"},
		"a module that does not load": {Artifact, "1.0.0", func(m *ocispec.Manifest, blobs *[]Blob) {
			module := bytesBlob(mediaTypeModuleLayer, wasmtest.Encode(refused))
			*blobs = append(*blobs, module)
			m.Layers[1] = module.Descriptor
			m.Annotations[AnnotationWasmSHA256] = module.Digest.Encoded()
		}, "sock_listen"},
		"a layer that is no archive": {Compat, "compat-1.0.0", func(m *ocispec.Manifest, blobs *[]Blob) {
			junk := bytesBlob(ocispec.MediaTypeImageLayerGzip, []byte("junk"))
			*blobs = append(*blobs, junk)
			m.Layers[0] = junk.Descriptor
		}, "as tar+gzip"},
		"an archive of something else": {Compat, "compat-1.0.0", func(m *ocispec.Manifest, blobs *[]Blob) {
			other := emptyArchive(t)
			*blobs = append(*blobs, other)
			m.Layers[0] = other.Descriptor
		}, "holds no plugin.wasm"},
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
			c.edit(&m, &image.Blobs)
			publish(t, r, image.Blobs, m, c.tag)
			ref := Reference{Repository: r.name("headers"), Tag: c.tag}
			v, err := r.Verify(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if v.Err() == nil || !strings.Contains(v.Err().Error(), c.want) {
				t.Errorf("problems %q, want %q", v.Problems, c.want)
			}
			var text bytes.Buffer
			if err := v.Text(&text); err != nil || !strings.Contains(text.String(), "FAILED") || !strings.Contains(text.String(), c.want) {
				t.Errorf("the text does not say it:\n%s", text.String())
			}
		})
	}
}

// Somebody with push access may publish one filter's manifest as another's.
func TestVerifyAnotherFilter(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	image, err := NewImage(Artifact, buildtest.Filter(t, "authtoken", "hello"), buildtest.Release("1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(image.Manifest, &m); err != nil {
		t.Fatal(err)
	}
	publish(t, r, image.Blobs, m, "1.0.0")
	all, err := r.VerifyVersion(t.Context(), "headers", version.MustParse("1.0.0"))
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	if want := `"authtoken", but it is published as headers`; all[0].Err() == nil || !strings.Contains(all[0].Err().Error(), want) {
		t.Errorf("problems %q, want %q", all[0].Problems, want)
	}
	// Two missing sums are not equal: a manifest without a sum gets no bill of materials.
	delete(m.Annotations, AnnotationWasmSHA256)
	publish(t, r, nil, m, "1.1.0")
	filter := buildtest.Filter(t, "headers", "hello")
	filter.Module.WasmSHA256 = ""
	if _, err := r.AttachSBOMs(t.Context(), buildtest.Release("1.1.0", filter)); err == nil || !strings.Contains(err.Error(), "attach the SBOM to") {
		t.Errorf("a bill of no module: %v", err)
	}
}

// publish stores blobs and a manifest under a tag, without any check.
func publish(t *testing.T, r *Registry, blobs []Blob, m ocispec.Manifest, tag string) {
	t.Helper()
	repo, err := r.repository("headers")
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		if err := r.sendBlob(t.Context(), repo, blob); err != nil {
			t.Fatal(err)
		}
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.PushReference(t.Context(), describe(ocispec.MediaTypeImageManifest, manifest), bytes.NewReader(manifest), tag); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyIndex verifies an index, which build tools publish by default.
func TestVerifyIndex(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := r.repository("headers")
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.PushReference(t.Context(), describe(ocispec.MediaTypeImageIndex, index), bytes.NewReader(index), "1.0.0"); err != nil {
		t.Fatal(err)
	}
	ref := Reference{Repository: r.name("headers"), Tag: "1.0.0"}
	v, err := r.Verify(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if v.Err() == nil || !strings.Contains(v.Err().Error(), "it is an index") {
		t.Errorf("problems %q", v.Problems)
	}
	if _, err := r.Pull(t.Context(), ref, t.TempDir()+"/x.wasm"); err == nil || !strings.Contains(err.Error(), "no wasm module") {
		t.Errorf("pull: %v", err)
	}
}
