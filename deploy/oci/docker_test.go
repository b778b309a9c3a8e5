package oci

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
)

// TestDockerImage: whatever Istio takes is read by pull, inspect and verify, and so is an image
// that "docker build" made of a FROM scratch and a COPY.
func TestDockerImage(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	repo, err := r.repository("headers")
	if err != nil {
		t.Fatal(err)
	}
	filter := buildtest.Filter(t, "headers", large)
	compat := images(t, []build.Built{filter}, buildtest.Release("1.0.0"), Compat)[0]
	for i, mediaType := range []string{mediaTypeDockerConfig, mediaTypeDockerLayer} {
		if err := r.sendBlob(t.Context(), repo, compat.Blobs[i]); err != nil {
			t.Fatal(err)
		}
		compat.Blobs[i].MediaType = mediaType
	}
	content, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: mediaTypeDockerManifest,
		Config:    compat.Blobs[0].Descriptor,
		Layers:    []ocispec.Descriptor{compat.Blobs[1].Descriptor},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.PushReference(t.Context(), describe(mediaTypeDockerManifest, content), bytes.NewReader(content), "docker"); err != nil {
		t.Fatal(err)
	}
	ref := Reference{Repository: r.name("headers"), Tag: "docker"}
	want, err := os.ReadFile(filter.Module.Path)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pulled.wasm")
	if _, err := r.Pull(t.Context(), ref, file); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("pulled %d bytes, want %d; error %v", len(got), len(want), err)
	}
	m, err := r.ReadModule(t.Context(), ref)
	if err != nil || !bytes.Equal(m.Wasm, want) || m.Shape != Compat || m.Consumers[0].Answer != Accepts {
		t.Errorf("read %+v, error %v", m, err)
	}
	v, err := r.Verify(t.Context(), ref)
	if err != nil || v.WasmSHA256 != filter.Module.WasmSHA256 || v.Shape != Compat {
		t.Errorf("verified %+v, error %v", v, err)
	}
	if slices.ContainsFunc(v.Problems, func(p string) bool { return !strings.HasPrefix(p, "annotation ") }) {
		t.Errorf("problems: %q", v.Problems)
	}
}
