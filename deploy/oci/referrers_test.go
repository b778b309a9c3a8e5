package oci

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"oras.land/oras-go/v2/content"

	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
	"github.com/slipway-wasm/slipway/deploy/oci/distributiontest"
)

func TestAttachAndDiscover(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, r *Registry) {
		filter := buildtest.Filter(t, "headers", "hello")
		published := push(t, r, "1.0.0", filter)[0]
		subject, err := r.ParseReference("headers:1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		sboms, err := r.AttachSBOMs(t.Context(), buildtest.Release("1.0.0", filter))
		if err != nil || len(sboms) != len(Shapes) {
			t.Fatalf("%d SBOMs, error %v", len(sboms), err)
		}
		report, err := r.Attach(t.Context(), subject, Attachment{ArtifactType: TypeTestReport, MediaType: "application/json", Name: "report.json", Content: []byte(`{"passed":true}`)})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := r.ParseReference("headers@" + report.ManifestDigest)
		if err != nil {
			t.Fatal(err)
		}
		provenance := Attachment{ArtifactType: TypeProvenance, Name: "provenance.json", Content: []byte(`{}`)}
		inner, err := r.Attach(t.Context(), signed, provenance)
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.Attach(t.Context(), signed, provenance)
		if err != nil || again.ManifestDigest != inner.ManifestDigest {
			t.Errorf("attached again: %+v, error %v; the first time %+v", again, err, inner)
		}
		tree, err := r.Discover(t.Context(), subject)
		if err != nil {
			t.Fatal(err)
		}
		report.Referrers = []Node{*inner}
		if diff := cmp.Diff([]Node{sboms[0], *report}, tree); diff != "" {
			t.Errorf("tree (-want +got):\n%s", diff)
		}
		var text bytes.Buffer
		if err := (Tree{Reference: published.Reference(), Referrers: tree}).Text(&text); err != nil {
			t.Fatal(err)
		}
		want := published.Reference() + `
├── application/vnd.cyclonedx+json headers.cdx.json ` + sboms[0].ManifestDigest + `
└── application/vnd.slipway.test-report.v1+json report.json ` + report.ManifestDigest + `
    └── application/vnd.in-toto+json provenance.json ` + inner.ManifestDigest + "\n"
		if diff := cmp.Diff(want, text.String()); diff != "" {
			t.Errorf("tree for people (-want +got):\n%s", diff)
		}
		// The fallback index is not listed as a version, and the version is unchanged.
		list, err := r.List(t.Context(), []string{"headers"})
		if err != nil || len(list) != len(Shapes) || digestOf(t, r, "headers", "1.0.0") != published.ManifestDigest {
			t.Errorf("list %+v, error %v", list, err)
		}
	})
}

// TestAttachAtOnce attaches from many clients at once that know nothing of each other.
// The list of referrers is an index that each of them overwrites.
func TestAttachAtOnce(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"embedded":     startWithoutReferrers(t),
		"distribution": distributiontest.Start(t, distributiontest.Options{}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push(t, openTest(t, address), "1.0.0", buildtest.Filter(t, "headers", "hello"))
			const clients = 8
			want := make(map[string]bool)
			var mu sync.Mutex
			var group sync.WaitGroup
			for i := range clients {
				group.Go(func() {
					r := openTest(t, address)
					ref, err := r.ParseReference("headers:1.0.0")
					if err != nil {
						t.Error(err)
						return
					}
					node, err := r.Attach(t.Context(), ref, Attachment{ArtifactType: TypeTestReport, Name: "report.txt", Content: fmt.Appendf(nil, "report %d", i)})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					want[node.ManifestDigest] = true
				})
			}
			group.Wait()
			r := openTest(t, address)
			ref, err := r.ParseReference("headers:1.0.0")
			if err != nil {
				t.Fatal(err)
			}
			tree, err := r.Discover(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]bool)
			for _, node := range tree {
				got[node.ManifestDigest] = true
			}
			if diff := cmp.Diff(want, got); diff != "" || len(want) != clients {
				t.Errorf("attachments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAttachRefuses(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	filter := buildtest.Filter(t, "headers", "hello")
	push(t, r, "1.0.0", filter)
	ref := Reference{Repository: r.name("headers"), Tag: "1.0.0"}
	for name, c := range map[string]struct {
		ref        Reference
		attachment Attachment
		want       string
	}{
		"no media type": {ref, Attachment{ArtifactType: "sbom"}, "not a media type"},
		"too large":     {ref, Attachment{ArtifactType: TypeSBOM, Content: make([]byte, maxManifest+1)}, "may have 4194304"},
		"no subject":    {Reference{Repository: r.name("headers"), Tag: "9.9.9"}, Attachment{ArtifactType: TypeSBOM}, "not found"},
	} {
		if _, err := r.Attach(t.Context(), c.ref, c.attachment); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	other := buildtest.Filter(t, "headers", "built later")
	if _, err := r.AttachSBOMs(t.Context(), buildtest.Release("1.0.0", other)); err == nil || !strings.Contains(err.Error(), other.Module.WasmSHA256) || !strings.Contains(err.Error(), filter.Module.WasmSHA256) {
		t.Errorf("an SBOM of another module: %v", err)
	}
}

func TestSBOM(t *testing.T) {
	t.Parallel()
	filter := buildtest.Filter(t, "headers", "hello")
	attachment, err := SBOM(filter, buildtest.Release("1.4.0"))
	if err != nil {
		t.Fatal(err)
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(attachment.Content), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, component := range *bom.Components {
		urls = append(urls, component.PackageURL)
	}
	if diff := cmp.Diff([]string{
		"pkg:golang/std@1.22.12",
		"pkg:golang/github.com/acme/filters@0123456789abcdef0123456789abcdef01234567",
		"pkg:golang/github.com/tetratelabs/proxy-wasm-go-sdk@v0.24.0",
	}, urls); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if got := (*bom.Metadata.Component.Hashes)[0].Value; got != filter.Module.WasmSHA256 || bom.Metadata.Timestamp != "2026-03-29T01:30:00Z" {
		t.Errorf("hash %s, timestamp %s", got, bom.Metadata.Timestamp)
	}
	again, err := SBOM(filter, buildtest.Release("1.4.0"))
	if err != nil || !bytes.Equal(again.Content, attachment.Content) {
		t.Errorf("it differs the second time; error %v", err)
	}
}

// TestSBOMIsReadable reads an attached SBOM like any client of the registry.
func TestSBOMIsReadable(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	filter := buildtest.Filter(t, "headers", "hello")
	push(t, r, "1.0.0", filter)
	nodes, err := r.AttachSBOMs(t.Context(), buildtest.Release("1.0.0", filter))
	if err != nil {
		t.Fatal(err)
	}
	found, err := r.find(t.Context(), Reference{Repository: r.name("headers"), Digest: nodes[0].ManifestDigest})
	if err != nil {
		t.Fatal(err)
	}
	data, err := content.FetchAll(t.Context(), found.repo, found.manifest.Layers[0])
	if err != nil || !json.Valid(data) {
		t.Fatalf("%d bytes, error %v", len(data), err)
	}
	if found.manifest.ArtifactType != TypeSBOM || found.manifest.Subject == nil {
		t.Errorf("manifest %s", found.content)
	}
}

// TestAttachInterrupted breaks the one write of the index. The list of referrers stays as it
// was, and the same Attach again completes it.
func TestAttachInterrupted(t *testing.T) {
	t.Parallel()
	const writeIndex = "^PUT .*/manifests/sha256-"
	proxy := faultproxytest.Start(t, startWithoutReferrers(t), faultproxytest.Rule{Match: writeIndex, Times: 1, Fault: faultproxytest.Status(403)})
	push(t, openTest(t, proxy.Addr), "1.0.0", buildtest.Filter(t, "headers", "hello"))
	attach := func() (nodes []Node, err error) {
		r := openTest(t, proxy.Addr)
		subject, err := r.Subject(t.Context(), Reference{Repository: r.name("headers"), Tag: "1.0.0"})
		if err != nil {
			t.Fatal(err)
		}
		return subject.Attach(t.Context(), Attachment{ArtifactType: TypeSBOM, Name: "a"}, Attachment{ArtifactType: TypeTestReport, Name: "b"})
	}
	list := func() []Node {
		r := openTest(t, proxy.Addr)
		tree, err := r.Discover(t.Context(), Reference{Repository: r.name("headers"), Tag: "1.0.0"})
		if err != nil {
			t.Fatal(err)
		}
		return tree
	}
	if _, err := attach(); err == nil || !strings.Contains(err.Error(), "write the index of referrers") {
		t.Errorf("error %v", err)
	}
	if got := list(); len(got) > 0 {
		t.Errorf("after a failed write: %+v", got)
	}
	proxy.Forget()
	want, err := attach()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Errorf("referrers (-want +got):\n%s", diff)
	}
	if writes := proxy.Requests(writeIndex); len(writes) != 1 {
		t.Errorf("%d writes of the index: %q", len(writes), writes)
	}
}
