package oci

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// TestShapes pushes every shape and asks each consumer's rule. test/consumers compares
// the rules with Istio's own code.
func TestShapes(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	push(t, r, "1.4.0", buildtest.Filter(t, "headers", "hello"))
	for _, c := range []struct {
		tag    string
		shape  Shape
		layers []string
		want   map[string]Answer
	}{
		{"1.4.0", Artifact, []string{"application/vnd.module.wasm.config.v1+json", "application/vnd.module.wasm.content.layer.v1+wasm"},
			map[string]Answer{"Istio": Accepts, "Envoy Gateway": Accepts, "wkg": Refuses, "plain Envoy": NotApplicable}},
		{"compat-1.4.0", Compat, []string{"application/vnd.oci.image.layer.v1.tar+gzip"},
			map[string]Answer{"Istio": Accepts, "Envoy Gateway": Accepts, "wkg": Refuses, "plain Envoy": NotApplicable}},
		{"cncf-1.4.0", CNCF, []string{"application/wasm"},
			map[string]Answer{"Istio": Refuses, "Envoy Gateway": Refuses, "wkg": Accepts, "plain Envoy": NotApplicable}},
	} {
		found, err := r.find(t.Context(), Reference{Repository: r.name("headers"), Tag: c.tag})
		if err != nil {
			t.Fatal(err)
		}
		var layers []string
		for _, layer := range found.manifest.Layers {
			layers = append(layers, layer.MediaType)
		}
		if diff := cmp.Diff(c.layers, layers); diff != "" || found.manifest.shape() != c.shape {
			t.Errorf("%s: shape %q, layers (-want +got):\n%s", c.tag, found.manifest.shape(), diff)
		}
		verdicts, err := Judge(found.desc.MediaType, found.content)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]Answer)
		for _, v := range verdicts {
			got[v.Consumer] = v.Answer
			if v.Reason == "" {
				t.Errorf("%s: %s gives no reason", c.tag, v.Consumer)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: verdicts (-want +got):\n%s", c.tag, diff)
		}
	}
}

func TestJudgeRefuses(t *testing.T) {
	t.Parallel()
	layers := func(types ...string) string {
		var m ocispec.Manifest
		for _, mediaType := range types {
			m.Layers = append(m.Layers, ocispec.Descriptor{MediaType: mediaType})
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for name, c := range map[string]struct{ mediaType, manifest, reason string }{
		"solo layer":   {ocispec.MediaTypeImageManifest, layers(mediaTypeModuleLayer), "has 1"},
		"README":       {ocispec.MediaTypeImageManifest, layers(mediaTypeModuleConfig, mediaTypeModuleLayer, "text/markdown"), "has 3"},
		"zstd":         {ocispec.MediaTypeImageManifest, layers(ocispec.MediaTypeImageLayerZstd), "tar+zstd"},
		"tar not last": {ocispec.MediaTypeImageManifest, layers(ocispec.MediaTypeImageLayerGzip, "text/markdown"), "none of its layers"},
		"wasm-to-oci":  {ocispec.MediaTypeImageManifest, layers(mediaTypeModuleConfig, "application/vnd.wasm.content.layer.v1+wasm"), "none of its layers"},
		"empty":        {ocispec.MediaTypeImageManifest, "{}", "no layer"},
		"index":        {ocispec.MediaTypeImageIndex, "{}", "it is an index"},
	} {
		verdicts, err := Judge(c.mediaType, []byte(c.manifest))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range verdicts {
			if v.Answer == Accepts || (v.Consumer == "Istio" && !strings.Contains(v.Reason, c.reason)) {
				t.Errorf("%s: %s %s: %s", name, v.Consumer, v.Answer, v.Reason)
			}
		}
	}
	for _, c := range []struct{ mediaType, content string }{
		{ocispec.MediaTypeImageManifest, "not JSON"},
		{"text/html", "{}"},
	} {
		if _, err := Judge(c.mediaType, []byte(c.content)); err == nil {
			t.Errorf("%s %q is judged", c.mediaType, c.content)
		}
	}
}

func TestAnnotations(t *testing.T) {
	t.Parallel()
	filter := buildtest.Filter(t, "headers", "hello")
	image, err := NewImage(Artifact, filter, buildtest.Release("1.4.0"))
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(image.Manifest, &m); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"org.opencontainers.image.title":           "The headers filter",
		"org.opencontainers.image.description":     "It does what a test needs, with <angle> brackets & more.",
		"org.opencontainers.image.licenses":        "Apache-2.0",
		"org.opencontainers.image.version":         "1.4.0",
		"org.opencontainers.image.revision":        "0123456789abcdef0123456789abcdef01234567",
		"org.opencontainers.image.source":          "https://github.com/acme/filters",
		"org.opencontainers.image.created":         "2026-03-29T01:30:00Z",
		"io.github.slipway-wasm.filter":            "headers",
		"io.github.slipway-wasm.wasm-sha256":       filter.Module.WasmSHA256,
		"io.github.slipway-wasm.compiler":          "tinygo 0.41.1 go1.22.12",
		"io.github.slipway-wasm.proxy-wasm-go-sdk": "v0.24.0",
		"io.github.slipway-wasm.proxy-wasm-abi":    "0.2.0",
		"io.github.slipway-wasm.envoy-min":         filter.Module.EnvoyMin,
		"io.github.slipway-wasm.envoy-tested":      "1.36.4",
	}
	if diff := cmp.Diff(want, m.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if got := m.Layers[1].Digest.Encoded(); got != filter.Module.WasmSHA256 {
		t.Errorf("the wasm layer's digest is %s, the wasm sha256 %s", got, filter.Module.WasmSHA256)
	}
	bare, err := NewImage(Artifact, filter, build.Release{Version: version.MustParse("1.4.0")})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(bare.Manifest), "image.source") {
		t.Errorf("an unknown source is written down: %s", bare.Manifest)
	}
}

// These variables make this test binary the child process of a test.
const (
	digestsOf = "SLIPWAY_TEST_DIGESTS_OF" // the module of TestDeterministic
	pushTo    = "SLIPWAY_TEST_PUSH_TO"    // the registry of TestKilledPush
	benchTo   = "SLIPWAY_TEST_BENCH_TO"   // the registry of BenchmarkPushBesideCrane
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(digestsOf) != "":
		os.Exit(printDigests(os.Getenv(digestsOf)))
	case os.Getenv(pushTo) != "":
		os.Exit(pushAsChild(os.Getenv(pushTo)))
	case os.Getenv(benchTo) != "":
		os.Exit(pushForBench(os.Getenv(benchTo)))
	}
	os.Exit(m.Run())
}

// printDigests prints the manifest digest of each shape of a module.
func printDigests(wasm string) int {
	data, err := os.ReadFile(wasm)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	// The process may have any time zone.
	release := buildtest.Release("1.4.0")
	release.Created = release.Created.In(time.Local)
	for _, shape := range Shapes {
		image, err := NewImage(shape, buildtest.At(wasm, "headers", data), release)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(shape, image.Descriptor.Digest)
	}
	return 0
}

// TestDeterministic computes manifest digests in processes that differ in folder,
// time zone, locale, umask, file times and number of processors.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	filter := buildtest.Filter(t, "headers", strings.Repeat("compressible ", 10000))
	wasm, err := os.ReadFile(filter.Module.Path)
	if err != nil {
		t.Fatal(err)
	}
	var want string
	for i, variant := range []struct {
		umask string
		env   []string
		mtime time.Time
	}{
		{"022", nil, time.Now()},
		{"077", []string{"TZ=Pacific/Kiritimati", "LC_ALL=de_DE.UTF-8"}, time.Unix(0, 0)},
		{"000", []string{"TZ=America/St_Johns", "GOMAXPROCS=1"}, time.Date(2038, 1, 19, 0, 0, 0, 0, time.UTC)},
		{"022", []string{"TZ=UTC", "GOMAXPROCS=7", "SOURCE_DATE_EPOCH=1", "GOGC=1"}, time.Now().Add(-24 * time.Hour)},
	} {
		folder := filepath.Join(t.TempDir(), fmt.Sprint(strings.Repeat("deep", i)))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, fmt.Sprintf("copy%d.wasm", i))
		if err := os.WriteFile(path, wasm, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, variant.mtime, variant.mtime); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", "umask "+variant.umask+`; exec "$0"`, os.Args[0])
		cmd.Dir = folder
		cmd.Env = append(append(os.Environ(), variant.env...), digestsOf+"="+path)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if want == "" {
			want = string(out)
		}
		if got := string(out); got != want || strings.Count(got, "sha256:") != len(Shapes) {
			t.Errorf("%+v:\n%swant\n%s", variant, got, want)
		}
	}
}

// TestGoldenDigests pins the manifests of a fixed filter and release. If a new version
// of a library or of Go changed them, that would break every published version.
func TestGoldenDigests(t *testing.T) {
	t.Parallel()
	filter := testFixed(t)
	got := make(map[Shape]string)
	for _, shape := range Shapes {
		image, err := NewImage(shape, filter, buildtest.Release("1.4.0"))
		if err != nil {
			t.Fatal(err)
		}
		got[shape] = image.Descriptor.Digest.String()
	}
	want := map[Shape]string{
		Artifact: "sha256:ac5ea0bfa5ae949d09b30a8632d5eef831a5abb7dc22816f0855325174b16ce9",
		Compat:   "sha256:0b88a92f2e8b95f024ad36d274c1de32b8ec05629885c09bb958785f5f992ebe",
		CNCF:     "sha256:2b5b0e8351ea4891d0ad71b8469b6bb054fe69574205ded7b71742ace2311e9f",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("manifest digests (-want +got):\n%s", diff)
	}
}

// testFixed is a filter in which nothing can change, not even its inspection.
func testFixed(t *testing.T) build.Built {
	filter := buildtest.Module(t, "headers", []byte(strings.Repeat("compressible ", 10000)))
	filter.Metadata.Description = "It does what a test needs."
	filter.Module.Report = inspect.Report{ABI: "0.2.0", EnvoyMin: "1.33"}
	return filter
}

// FuzzCompatLayer: for any module, unpacking the layer gives it back, and reading the
// layer twice gives the same bytes.
func FuzzCompatLayer(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Add([]byte(strings.Repeat("a", 1<<16)))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		layer, _, err := compatLayer(bytesBlob("", wasm))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			body, err := layer.Open()
			if err != nil {
				t.Fatal(err)
			}
			packed, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(layer.MediaType, packed); got.Digest != layer.Digest || got.Size != layer.Size {
				t.Fatalf("the layer is %v, its descriptor says %v", got, layer.Descriptor)
			}
			unpacked, err := readLayer(strings.NewReader(string(packed)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(unpacked); err != nil || string(got) != string(wasm) {
				t.Fatalf("%d other bytes came back, error %v", len(got), err)
			}
		}
	})
}
