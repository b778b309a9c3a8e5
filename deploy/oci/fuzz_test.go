package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// hostileRegistry answers as it likes, with the digests of what it answers, so that
// what is read is looked at behind the comparison.
type hostileRegistry struct {
	mediaType             string
	manifest, index, tags []byte
	blob                  []byte
	link                  string // to the next page of a list
}

func (h hostileRegistry) RoundTrip(req *http.Request) (*http.Response, error) {
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

// FuzzAnswers: whatever a registry answers, reading it ends, with what it promised or
// with an error, and nothing in it can pretend to be a line of ours.
func FuzzAnswers(f *testing.F) {
	module := wasmtest.Encode(wasmtest.Filter())
	filter := testModule(f, "headers", module)
	for _, shape := range Shapes {
		image, err := NewImage(shape, filter, testRelease("1.4.0"))
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
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		r := openWith(t, RegistryOptions{Address: "registry.test/acme", Anonymous: true, Transport: hostileRegistry{mediaType, manifest, index, tags, blob, link}})
		r.policy.Tries = 1
		ref := Reference{Repository: r.name("headers"), Tag: "1.4.0"}
		var text bytes.Buffer
		if v, err := Verify(ctx, r, ref); err == nil {
			v.Text(&text)
			if v.ManifestDigest != digest.FromBytes(manifest).String() {
				t.Errorf("manifest digest %s of %q", v.ManifestDigest, manifest)
			}
			if sum := digest.FromBytes(blob).Encoded(); v.Err() == nil && v.Shape != Compat && v.WasmSHA256 != sum {
				t.Errorf("wasm sha256 %s, and served was %s", v.WasmSHA256, sum)
			}
		}
		if m, err := ReadModule(ctx, r, ref); err == nil && m.Shape == Artifact && !bytes.Equal(m.Wasm, blob) {
			t.Errorf("%d bytes were read, and %d served", len(m.Wasm), len(blob))
		}
		if tree, err := Discover(ctx, r, ref); err == nil {
			Tree{Reference: ref.String(), Referrers: tree}.Text(&text)
		}
		if list, err := List(ctx, r, []string{"headers"}); err == nil {
			if err := WriteList(&text, list); err != nil {
				t.Error(err)
			}
		}
		if _, err := Attached(ctx, r, ref, ""); err == nil && len(index) == 0 {
			t.Error("files are attached, and nothing lists them")
		}
		if _, err := Manifests(ctx, r, "headers", "1.4.0"); err == nil && len(manifest) == 0 {
			t.Error("there is a manifest without content")
		}
		if ctx.Err() != nil {
			t.Error("it does not end")
		}
		if i := bytes.IndexFunc(text.Bytes(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); i >= 0 {
			t.Errorf("a control character is in %q", text.String()[max(0, i-40):i+1])
		}
		if wasm, err := readLayer(bytes.NewReader(blob)); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(wasm, maxWasm))
		}
	})
}
