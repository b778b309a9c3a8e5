package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// emptyArchive is a layer with one file, which is not plugin.wasm.
func emptyArchive(t *testing.T) Blob {
	t.Helper()
	var data bytes.Buffer
	zip := gzip.NewWriter(&data)
	archive := tar.NewWriter(zip)
	if err := archive.WriteHeader(&tar.Header{Name: "plugin.wasm/readme", Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return bytesBlob(ocispec.MediaTypeImageLayerGzip, data.Bytes())
}

func TestList(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, r *Registry) {
		for _, version := range []string{"1.9.0", "1.10.0", "2.0.0-rc.1"} {
			push(t, r, version, buildtest.Filter(t, "headers", version))
		}
		last := push(t, r, "1.9.1", buildtest.Filter(t, "headers", "1.9.1"), buildtest.Filter(t, "authtoken", "x"))
		list, err := r.List(t.Context(), []string{"authtoken", "headers", "never-pushed"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range list {
			if l.ManifestDigest == "" || l.WasmSHA256 == "" || l.Size == 0 || l.Created != "2026-03-29T01:30:00Z" {
				t.Errorf("incomplete: %+v", l)
			}
			if l.Shape == Artifact {
				got = append(got, l.Filter+" "+l.Tag+" "+strings.Join(l.Moving, ","))
			}
		}
		if diff := cmp.Diff([]string{
			"authtoken 1.9.1 1,1.9,latest",
			"headers 2.0.0-rc.1 ",
			"headers 1.10.0 1,1.10,latest",
			"headers 1.9.1 1.9",
			"headers 1.9.0 ",
		}, got); diff != "" || len(list) != 5*len(Shapes) {
			t.Errorf("%d in all, of which artifacts (-want +got):\n%s", len(list), diff)
		}
		if list[2].Tag != "cncf-1.9.1" || list[2].ManifestDigest != last[5].ManifestDigest {
			t.Errorf("%+v\nwas pushed as %+v", list[2], last[5])
		}
		var table bytes.Buffer
		if err := WriteList(&table, list); err != nil || strings.Count(table.String(), "\n") != len(list)+1 {
			t.Errorf("table, error %v:\n%s", err, table.String())
		}
	})
}

// FuzzTags: no tag is both a version and a moving tag, or has two shapes, and every
// version's tag is parsed as that version.
func FuzzTags(f *testing.F) {
	for _, seed := range []string{"1.4.0", "1.4.0-compat", "1.4.0-rc.1", "latest", "1.4", "compat-1.4.0", "cncf-latest", "sha256-00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if kind, ok := parseTag(text); ok && (!kind.version.IsZero()) == (kind.moving != "") {
			t.Errorf("tag %q: version %v, moving %q", text, kind.version, kind.moving)
		}
		v, err := version.Parse(text)
		if err != nil {
			return
		}
		for _, shape := range Shapes {
			kind, ok := parseTag(shape.tag(text))
			if !ok || kind.shape != shape || kind.version.IsZero() || kind.version.String() != text {
				t.Errorf("tag %q of version %q is read as %+v", shape.tag(text), text, kind)
			}
			for _, moving := range v.Ranges() {
				kind, ok := parseTag(shape.tag(moving))
				if !ok || kind.shape != shape || kind.moving != moving {
					t.Errorf("moving tag %q is read as %+v", shape.tag(moving), kind)
				}
			}
		}
	})
}

func TestParseReference(t *testing.T) {
	t.Parallel()
	zeros := "sha256:" + strings.Repeat("0", 64)
	remote := openWith(t, RegistryOptions{Address: "ghcr.io/acme/filters/"})
	for _, c := range []struct {
		r          *Registry
		text, want string // want is empty for an error
	}{
		{remote, "headers:1.4.0", "ghcr.io/acme/filters/headers:1.4.0"},
		{remote, "headers@" + zeros, "ghcr.io/acme/filters/headers@" + zeros},
		{remote, "ghcr.io/other/x:1", "ghcr.io/other/x:1"},
		{remote, "ghcr.io/other/x:1@" + zeros, "ghcr.io/other/x:1@" + zeros},
		{remote, "oci://ghcr.io/other/x:1@" + zeros, "ghcr.io/other/x:1@" + zeros},
		{remote, "oci://headers:1.4.0", "ghcr.io/acme/filters/headers:1.4.0"},
		{remote, "ghcr.io/other/x:@" + zeros, ""},
		{remote, "quay.io/other/x:1", ""},
		{remote, "headers", ""},
		{remote, "headers:", ""},
		{remote, "headers:1.4.0+x", ""},
		{remote, "Headers:1.4.0", ""},
		{remote, "headers@sha256:00", ""},
		{remote, "https://ghcr.io/acme/headers:1", ""},
		{remote, "../headers:1", ""},
		{remote, "", ""},
		{remote, "headers/../../x", ""},
		{remote, "oci-layout:DIR/headers:1.4.0", ""},
	} {
		got, err := c.r.ParseReference(c.text)
		if (err == nil) != (c.want != "") || (err == nil && got.String() != c.want) {
			t.Errorf("%q below %s: %q, error %v; want %q", c.text, c.r.Address(), got, err, c.want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts RegistryOptions
		want string
	}{
		"nothing":           {RegistryOptions{}, "write a host"},
		"scheme":            {RegistryOptions{Address: "https://ghcr.io/acme"}, "without scheme"},
		"tag":               {RegistryOptions{Address: "ghcr.io/acme:latest"}, "write a host"},
		"capitals":          {RegistryOptions{Address: "ghcr.io/Acme"}, "in lowercase"},
		"a folder":          {RegistryOptions{Address: "oci-layout:DIR"}, "write a host"},
		"user only":         {RegistryOptions{Address: "ghcr.io/acme", Username: "me"}, "give the user name and the password"},
		"password only":     {RegistryOptions{Address: "ghcr.io/acme", Password: "s3cret"}, "give the user name and the password"},
		"password in it":    {RegistryOptions{Address: "me:s3cret@ghcr.io/acme"}, "write a host"},
		"control character": {RegistryOptions{Address: "ghcr.io/ac\nme"}, "write a host"},
	} {
		_, err := Open(c.opts)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
