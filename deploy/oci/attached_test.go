package oci

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/version"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
)

func TestAttached(t *testing.T) {
	t.Parallel()
	const bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
	places(t, func(t *testing.T, r *Registry) {
		filter := buildtest.Filter(t, "headers", "hello")
		push(t, r, "1.0.0", filter)
		all, err := r.Subjects(t.Context(), "headers", version.MustParse("1.0.0"))
		if err != nil || len(all) != len(Shapes) {
			t.Fatalf("%d manifests, error %v", len(all), err)
		}
		for i, m := range all {
			if m.Shape != Shapes[i] || m.ManifestDigest != digestOf(t, r, "headers", m.Reference.Tag) || m.Annotations[AnnotationWasmSHA256] != filter.Module.WasmSHA256 {
				t.Errorf("%+v", m)
			}
		}
		subject := all[0].ByDigest()
		if _, err := r.AttachSBOMs(t.Context(), buildtest.Release("1.0.0", filter)); err != nil {
			t.Fatal(err)
		}
		want := Attachment{ArtifactType: bundle, MediaType: bundle, Name: "a.json", Content: []byte(`{"a":1}`), Annotations: map[string]string{"dev.sigstore.bundle.content": "dsse-envelope"}}
		if _, err := r.Attach(t.Context(), subject, want); err != nil {
			t.Fatal(err)
		}
		got, err := r.Attached(t.Context(), subject, "application/vnd.dev.sigstore.bundle")
		if err != nil || len(got) != 1 {
			t.Fatalf("%+v, error %v", got, err)
		}
		want.Annotations["org.opencontainers.image.created"] = "2026-03-29T01:30:00Z"
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if other, err := r.Attached(t.Context(), all[1].ByDigest(), bundle); err != nil || len(other) > 0 {
			t.Errorf("attached to another manifest: %+v, error %v", other, err)
		}
		if _, err := r.Subjects(t.Context(), "headers", version.MustParse("9.9.9")); !finding.Absent(err) {
			t.Errorf("a version that is not there: %v", err)
		}
	})
}

// TestAttachedDamaged: whoever looks for signatures learns that one exists and cannot
// be read.
func TestAttachedDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	r := openTest(t, server.Addr())
	push(t, r, "1.0.0", buildtest.Filter(t, "headers", "hello"))
	ref, err := r.ParseReference("headers:1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	content := []byte(`{"a":1}`)
	if _, err := r.Attach(t.Context(), ref, Attachment{ArtifactType: TypeSBOM, Name: "a.json", Content: content}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "blobs", "sha256", digest.FromBytes(content).Encoded())
	if err := os.WriteFile(path, []byte(`{"a":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := r.Attached(t.Context(), ref, TypeSBOM)
	if err != nil || len(got) != 1 || got[0].Content != nil {
		t.Errorf("%+v, error %v", got, err)
	}
}
