package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// hostileRegistry gives any answer, with the digest that matches it, so that the answer
// passes the comparison and the code behind it is tested.
type hostileRegistry struct {
	mediaType             string
	manifest, index, tags []byte
	blob                  []byte
	link                  string // to the next page of a list
	patience              *int   // how many requests it answers; nil for all
}

func (h hostileRegistry) RoundTrip(req *http.Request) (*http.Response, error) {
	if h.patience != nil {
		if *h.patience--; *h.patience < 0 {
			return nil, errors.New("the registry lost its patience")
		}
	}
	status, header, body := http.StatusOK, http.Header{}, h.blob
	switch last := path.Base(req.URL.Path); {
	case strings.HasSuffix(req.URL.Path, "/tags/list"):
		body = h.tags
		header.Set("Link", h.link)
	case strings.Contains(req.URL.Path, "/referrers/"):
		body = h.index
		header.Set("Content-Type", ocispec.MediaTypeImageIndex)
		header.Set("Link", h.link)
	case strings.Contains(req.URL.Path, "/manifests/"):
		body = h.manifest
		header.Set("Content-Type", h.mediaType)
		if last == digest.FromBytes(h.index).String() {
			body = h.index
			header.Set("Content-Type", ocispec.MediaTypeImageIndex)
		}
		header.Set("Docker-Content-Digest", digest.FromBytes(body).String())
	case last == ocispec.DescriptorEmptyJSON.Digest.String():
		body = ocispec.DescriptorEmptyJSON.Data
	}
	res := &http.Response{StatusCode: status, Header: header, Request: req, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body))}
	if req.Method == http.MethodHead {
		res.Body = http.NoBody
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	return res, nil
}

// TestEndlessLists: the total length of a registry's lists is limited.
func TestEndlessLists(t *testing.T) {
	t.Parallel()
	encode := func(value any) []byte {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	blob := make([]byte, maxManifest)
	layer := describe(TypeSBOM, blob)
	manifest := encode(ocispec.Manifest{Config: ocispec.DescriptorEmptyJSON, Layers: slices.Repeat([]ocispec.Descriptor{layer}, 17)})
	referrer := describe(ocispec.MediaTypeImageManifest, manifest)
	many := encode(ocispec.Index{Manifests: slices.Repeat([]ocispec.Descriptor{referrer}, maxNodes+1)})
	one := encode(ocispec.Index{Manifests: []ocispec.Descriptor{referrer}})
	for name, c := range map[string]struct {
		registry hostileRegistry
		read     func(r *Registry, ref Reference) error
		want     string
	}{
		"tags": {
			hostileRegistry{tags: encode(map[string]any{"tags": make([]string, 999)}), link: "</v2/acme/headers/tags/list?last=x>"},
			func(r *Registry, _ Reference) error { _, err := r.Versions(t.Context(), "headers"); return err },
			"lists more than 100000 tags",
		},
		"referrers": {
			hostileRegistry{index: many, link: "</v2/acme/headers/referrers/x>"},
			func(r *Registry, ref Reference) error {
				_, err := r.Attached(t.Context(), ref, TypeSBOM)
				return err
			},
			"lists more than 100000 referrers",
		},
		"a broad tree": {
			hostileRegistry{index: many},
			func(r *Registry, ref Reference) error { _, err := r.Discover(t.Context(), ref); return err },
			"more than 10000 manifests are attached",
		},
		"a deep tree": {
			hostileRegistry{index: one},
			func(r *Registry, ref Reference) error { _, err := r.Discover(t.Context(), ref); return err },
			"more than 8 manifests are attached to each other in a row",
		},
		"files": {
			hostileRegistry{index: one},
			func(r *Registry, ref Reference) error {
				_, err := r.Attached(t.Context(), ref, TypeSBOM)
				return err
			},
			"more than 67108864 bytes are attached",
		},
	} {
		c.registry.mediaType, c.registry.manifest, c.registry.blob = ocispec.MediaTypeImageManifest, manifest, blob
		r := openWith(t, RegistryOptions{Address: "registry.test/acme", Anonymous: true, Transport: c.registry})
		if err := c.read(r, Reference{Repository: r.name("headers"), Tag: "1.4.0"}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzAnswers: whatever a registry answers, a read ends with the promised content or
// with an error, and nothing in the answer can pass for a line of our output.
func FuzzAnswers(f *testing.F) {
	module := wasmtest.Encode(wasmtest.Filter())
	filter := buildtest.Module(f, "headers", module)
	for _, shape := range Shapes {
		image, err := NewImage(shape, filter, buildtest.Release("1.4.0"))
		if err != nil {
			f.Fatal(err)
		}
		blob := module
		if shape == Compat {
			layer, err := image.Blobs[1].Open()
			if err != nil {
				f.Fatal(err)
			}
			if blob, err = io.ReadAll(layer); err != nil {
				f.Fatal(err)
			}
		}
		index, err := json.Marshal(ocispec.Index{Manifests: []ocispec.Descriptor{image.Descriptor, image.Descriptor}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(ocispec.MediaTypeImageManifest, image.Manifest, index, []byte(`{"tags":["1.4.0","latest","1.4","compat-1.4.0"]}`), blob, "")
		f.Add(ocispec.MediaTypeImageManifest, image.Manifest, []byte(`{"manifests":[]}`), []byte(`{"tags":null}`), blob, "</v2/acme/headers/tags/list?last=x>")
		f.Add(ocispec.MediaTypeImageIndex, index, []byte(`{}`), []byte(`{}`), []byte("PK"), "<http://elsewhere/>")
	}
	f.Add(mediaTypeDockerManifest, []byte(`{"config":{"digest":"sha256:../x"},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":-1}],"annotations":{"org.opencontainers.image.version":"1\nheaders: ok\u001b[31m"}}`), []byte(`{}`), []byte(`[]`), []byte{0x1f, 0x8b}, "")
	f.Add(ocispec.MediaTypeImageManifest, []byte(`{}`), []byte(`{"manifests":[{"digest":"x"}]}`), []byte(`{"tags":["1.4.0\u001b"]}`), []byte{}, "")
	f.Fuzz(func(t *testing.T, mediaType string, manifest, index, tags, blob []byte, link string) {
		ctx := t.Context()
		patience := 500 // TestEndlessLists tests with more requests
		r := openWith(t, RegistryOptions{Address: "registry.test/acme", Anonymous: true, Transport: hostileRegistry{mediaType, manifest, index, tags, blob, link, &patience}})
		r.policy.Tries = 1
		ref := Reference{Repository: r.name("headers"), Tag: "1.4.0"}
		var text bytes.Buffer
		if v, err := r.Verify(ctx, ref); err == nil {
			if err := v.Text(&text); err != nil {
				t.Error(err)
			}
			if v.ManifestDigest != digest.FromBytes(manifest).String() {
				t.Errorf("manifest digest %s of %q", v.ManifestDigest, manifest)
			}
			if sum := digest.FromBytes(blob).Encoded(); v.Err() == nil && v.Shape != Compat && v.WasmSHA256 != sum {
				t.Errorf("wasm sha256 %s, and served was %s", v.WasmSHA256, sum)
			}
		}
		if m, err := r.ReadModule(ctx, ref); err == nil && m.Shape == Artifact && !bytes.Equal(m.Wasm, blob) {
			t.Errorf("%d bytes were read, and %d served", len(m.Wasm), len(blob))
		}
		if tree, err := r.Discover(ctx, ref); err == nil {
			if err := (Tree{Reference: ref.String(), Referrers: tree}).Text(&text); err != nil {
				t.Error(err)
			}
		}
		if list, err := r.List(ctx, []string{"headers"}); err == nil {
			if err := WriteList(&text, list); err != nil {
				t.Error(err)
			}
		}
		if _, err := r.Attached(ctx, ref, ""); err == nil && len(index) == 0 {
			t.Error("files are attached, and nothing lists them")
		}
		if _, err := r.Subjects(ctx, "headers", version.MustParse("1.4.0")); err == nil && len(manifest) == 0 {
			t.Error("there is a manifest without content")
		}
		if i := bytes.IndexFunc(text.Bytes(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); i >= 0 {
			t.Errorf("a control character is in %q", text.String()[max(0, i-40):i+1])
		}
		if wasm, err := readLayer(bytes.NewReader(blob)); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(wasm, maxWasm))
		}
	})
}

// FuzzChallenges: whatever a registry offers, reading it ends, and what is chosen is read back as
// the same.
func FuzzChallenges(f *testing.F) {
	f.Add(`Negotiate oRQw==, NTLM, Digest realm="a, Basic \"b\"", qop="auth", Basic realm="acme"`)
	f.Add(`Bearer realm="https://auth.example/token",service="r",scope="a b"`)
	f.Add(`Basic realm=acme, Bearer`)
	f.Fuzz(func(t *testing.T, header string) {
		for _, c := range parseChallenges([]string{header}) {
			again := parseChallenges([]string{c.String()})
			if len(again) != 1 || again[0].scheme != c.scheme || len(again[0].params) != len(c.params) {
				t.Errorf("%q has %+v, which is read back as %+v", header, c, again)
			}
		}
	})
}
