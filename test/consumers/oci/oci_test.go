// Package oci lets Istio's own code judge the images that deploy/oci pushes.
package oci_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/util/sets"
	"istio.io/istio/pkg/wasm"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/version"
)

func TestMain(m *testing.M) {
	log.FindScope("wasm").SetOutputLevel(log.WarnLevel) // it logs every fetch
	os.Exit(m.Run())
}

// builtFilters returns the repository's own filters. They come from the folder that "go
// tool mage test" names, or are built on the spot.
func builtFilters(t *testing.T) []build.Built {
	t.Helper()
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join("..", "..", "..", "filter")})
	if err != nil {
		t.Fatal(err)
	}
	dist := os.Getenv("SLIPWAY_DIST")
	if dist == "" {
		dist = t.TempDir()
	}
	modules, err := build.Build(t.Context(), build.Options{Filters: filters, Dist: dist})
	if err != nil {
		t.Fatal(err)
	}
	built := make([]build.Built, len(filters))
	for i := range filters {
		built[i] = build.Built{Filter: filters[i], Module: modules[i]}
	}
	return built
}

func startRegistry(t *testing.T) string {
	t.Helper()
	r, err := registry.Start(t.Context(), registry.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r.Addr()
}

// istioGet fetches a URL as Istio's agent does, with an empty cache, and returns
// the module.
func istioGet(t *testing.T, url, checksum string) ([]byte, error) {
	t.Helper()
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "oci://"), "/")
	cache := wasm.NewLocalFileCache(t.TempDir(), wasm.Options{
		InsecureRegistries:    sets.New(host),
		HTTPRequestTimeout:    time.Minute,
		HTTPRequestMaxRetries: 1,
	})
	defer cache.Cleanup()
	path, err := cache.Get(url, wasm.GetOptions{Checksum: checksum, RequestTimeout: time.Minute, ResourceName: "test.filter", ResourceVersion: "1"})
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data, nil
}

// TestIstioPullsWhatIsPushed pushes the real filters in every shape and fetches
// them with Istio's own code.
func TestIstioPullsWhatIsPushed(t *testing.T) {
	t.Parallel()
	filters := builtFilters(t)
	r, err := oci.Open(oci.RegistryOptions{Address: startRegistry(t) + "/acme"})
	if err != nil {
		t.Fatal(err)
	}
	images, err := oci.NewImages(build.Release{
		Version: version.MustParse("1.4.0"), Revision: strings.Repeat("a", 40), Created: time.Unix(1774747800, 0), Filters: filters,
	}, oci.Shapes...)
	if err != nil {
		t.Fatal(err)
	}
	published, err := r.Push(t.Context(), images, oci.PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range published {
		module, err := os.ReadFile(filters[i/len(oci.Shapes)].Module.Path)
		if err != nil {
			t.Fatal(err)
		}
		digest := strings.TrimPrefix(p.ManifestDigest, "sha256:")
		t.Run(p.Filter+" "+string(p.Shape), func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				name, reference, checksum string
				accepted                  bool
			}{
				{"by tag", ":" + p.Tag, "", true},
				{"by digest", "@" + p.ManifestDigest, "", true},
				{"by tag with the manifest digest as sha256", ":" + p.Tag, digest, true},
				{"by tag with the wasm sha256 as sha256", ":" + p.Tag, p.WasmSHA256, false},
				{"by tag with a wrong sha256", ":" + p.Tag, strings.Repeat("0", 64), false},
				{"by another digest", "@sha256:" + strings.Repeat("0", 64), "", false},
			} {
				got, err := istioGet(t, "oci://"+p.Repository+c.reference, c.checksum)
				accepted := c.accepted && p.Shape != oci.CNCF
				if (err == nil) != accepted {
					t.Errorf("%s: accepted %t, want %t: %v", c.name, err == nil, accepted, err)
				}
				if accepted && !bytes.Equal(got, module) {
					t.Errorf("%s: Istio got %d other bytes", c.name, len(got))
				}
			}
		})
	}
}

// TestRuleForIstio compares the rule in deploy/oci with what Istio's code does, on
// manifests that people have published.
func TestRuleForIstio(t *testing.T) {
	t.Parallel()
	address := startRegistry(t)
	const (
		config    = "application/vnd.module.wasm.config.v1+json"
		module    = "application/vnd.module.wasm.content.layer.v1+wasm"
		toOCI     = "application/vnd.wasm.content.layer.v1+wasm"
		zstd      = "application/vnd.oci.image.layer.v1.tar+zstd"
		plainWasm = "application/wasm"
	)
	archive := compatLayer(t)
	layer := func(mediaType string) v1.Layer {
		if mediaType == string(types.OCILayer) || mediaType == string(types.DockerLayer) {
			return static.NewLayer(archive, types.MediaType(mediaType))
		}
		// Istio looks at the first bytes of what it fetched.
		return static.NewLayer([]byte("\x00asm\x01\x00\x00\x00"+mediaType), types.MediaType(mediaType))
	}
	for name, c := range map[string]struct {
		manifest types.MediaType
		layers   []string
	}{
		"oci":                     {types.OCIManifestSchema1, []string{config, module}},
		"oci the other way round": {types.OCIManifestSchema1, []string{module, config}},
		"one layer":               {types.OCIManifestSchema1, []string{module}},
		"three layers":            {types.OCIManifestSchema1, []string{config, module, "text/markdown"}},
		"two modules":             {types.OCIManifestSchema1, []string{module, module + "x"}},
		"compat":                  {types.OCIManifestSchema1, []string{string(types.OCILayer)}},
		"compat after others":     {types.OCIManifestSchema1, []string{"text/markdown", "text/plain", string(types.OCILayer)}},
		"compat not last":         {types.OCIManifestSchema1, []string{string(types.OCILayer), "text/markdown", "text/plain"}},
		"zstd":                    {types.OCIManifestSchema1, []string{zstd}},
		"wasm-to-oci":             {types.OCIManifestSchema1, []string{toOCI}},
		"wasm-to-oci with config": {types.OCIManifestSchema1, []string{config, toOCI}},
		"CNCF":                    {types.OCIManifestSchema1, []string{plainWasm}},
		"no layer":                {types.OCIManifestSchema1, nil},
		"docker":                  {types.DockerManifestSchema2, []string{string(types.DockerLayer)}},
		"docker with OCI layer":   {types.DockerManifestSchema2, []string{string(types.OCILayer)}},
		"docker layer in OCI":     {types.OCIManifestSchema1, []string{string(types.DockerLayer)}},
		"docker with the module":  {types.DockerManifestSchema2, []string{config, module}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := mutate.MediaType(empty.Image, c.manifest)
			for _, l := range c.layers {
				var err error
				if image, err = mutate.Append(image, mutate.Addendum{Layer: layer(l), MediaType: types.MediaType(l)}); err != nil {
					t.Fatal(err)
				}
			}
			repo := address + "/odd/" + strings.ReplaceAll(strings.ToLower(name), " ", "-")
			compare(t, repo, image)
		})
	}
	t.Run("index", func(t *testing.T) {
		t.Parallel()
		image, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{Layer: layer(string(types.OCILayer)), MediaType: types.OCILayer})
		if err != nil {
			t.Fatal(err)
		}
		index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}},
		})
		compare(t, address+"/odd/index", index)
	})
}

// compare pushes a manifest and compares what Istio and the rule say of it, by digest.
func compare(t *testing.T, repo string, pushed interface {
	remote.Taggable
	Digest() (v1.Hash, error)
	MediaType() (types.MediaType, error)
}) {
	t.Helper()
	ref, err := name.ParseReference(repo + ":1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	switch pushed := pushed.(type) {
	case v1.Image:
		err = remote.Write(ref, pushed)
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, pushed)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := pushed.Digest()
	if err != nil {
		t.Fatal(err)
	}
	mediaType, err := pushed.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := pushed.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	_, istio := istioGet(t, "oci://"+repo+"@"+digest.String(), "")
	verdicts, err := oci.Judge(string(mediaType), manifest)
	if err != nil {
		t.Fatal(err)
	}
	if rule := verdicts[0]; (rule.Answer == oci.Accepts) != (istio == nil) {
		t.Errorf("the rule for %s says %q (%s), and its code says %v; the manifest is %s", rule.Consumer, rule.Answer, rule.Reason, istio, indent(manifest))
	}
}

// compatLayer is a layer with plugin.wasm, taken from a pushed image.
func compatLayer(t *testing.T) []byte {
	t.Helper()
	filter := builtFilters(t)[0]
	image, err := oci.NewImage(oci.Compat, filter, build.Release{Version: version.MustParse("1.0.0")})
	if err != nil {
		t.Fatal(err)
	}
	layer, err := image.Blobs[1].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = layer.Close() }()
	var data bytes.Buffer
	if _, err := data.ReadFrom(layer); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

func indent(manifest []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, manifest, "", "  "); err != nil {
		return string(manifest)
	}
	return out.String()
}
