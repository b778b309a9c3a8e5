package manifest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
)

func release(filter string) manifest.Source {
	return manifest.Source{
		Filter:         filter,
		Version:        "1.4.0",
		Repository:     "ghcr.io/acme/filters/" + filter,
		Tag:            "1.4.0",
		ManifestDigest: "sha256:" + strings.Repeat("1234567890", 6) + "1234",
		URL:            "https://filters.example.com/" + filter + "/1.4.0/" + filter + ".wasm",
		WasmSHA256:     strings.Repeat("0987654321", 6) + "0987",
	}
}

// options renders the filters in testdata/filters into a new folder.
func options(t *testing.T) manifest.RenderOptions {
	t.Helper()
	const dir = "testdata/filters"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	opts := manifest.RenderOptions{Dir: filepath.Join(t.TempDir(), "dist", "manifests")}
	for _, entry := range entries {
		metadata, err := catalog.ReadMetadata(filepath.Join(dir, entry.Name(), catalog.MetadataFile))
		if err != nil {
			t.Fatal(err)
		}
		opts.Filters = append(opts.Filters, catalog.Filter{Name: entry.Name(), Dir: filepath.Join(dir, entry.Name()), Metadata: metadata})
		opts.Releases = append(opts.Releases, release(entry.Name()))
	}
	return opts
}

// tree reads every file below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The files on disk are the golden files: after the first run, and after a second one over
// other content.
func TestRender(t *testing.T) {
	t.Parallel()
	want := tree(t, "testdata/golden")
	omitted := want["omitted.txt"]
	delete(want, "omitted.txt")

	opts := options(t)
	var out strings.Builder
	opts.Out = &out
	for _, leftover := range []string{"", "gone/kustomization.yaml"} {
		if leftover != "" {
			if err := os.MkdirAll(filepath.Join(opts.Dir, filepath.Dir(leftover)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(opts.Dir, leftover), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out.Reset()
		if err := manifest.Render(t.Context(), opts); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, tree(t, opts.Dir)); diff != "" {
			t.Errorf("files differ (-want +got):\n%s", diff)
		}
		if !strings.HasPrefix(out.String(), omitted) || !strings.Contains(out.String(), "gateway 1.4.0: kubectl apply -k "+filepath.Join(opts.Dir, "gateway")+"\n") {
			t.Errorf("told:\n%s", out.String())
		}
	}
	entries, err := os.ReadDir(filepath.Dir(opts.Dir))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the manifests: %v, %v", entries, err)
	}
}

// TestRenderLarge: an object that kubectl apply has no room for in its annotation is applied
// by the server; one that etcd would refuse is not rendered.
func TestRenderLarge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size int
		want string // in the output
		err  string
	}{
		"as large as the annotation": {size: 255_000, want: ": kubectl apply -k "},
		"larger than the annotation": {size: 270_000, want: ": kubectl apply --server-side -k "},
		"twice too large for etcd":   {size: 800_000, want: "no envoyfilter, because it has 1603"},
		"too large for etcd":         {size: 1_500_000, err: "wasmplugin: it has 1500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			filter := catalog.Filter{Name: "large", Dir: t.TempDir(), Metadata: catalog.Metadata{Apply: &catalog.Apply{
				FailStrategy: catalog.FailOpen,
				Contexts:     []string{catalog.ContextInbound, catalog.ContextOutbound},
				PluginConfig: map[string]any{"text": strings.Repeat("x", c.size)},
			}}}
			if strings.Contains(c.want, "apply") {
				filter.Metadata.Apply.Contexts = filter.Metadata.Apply.Contexts[:1]
			}
			err := manifest.Render(t.Context(), manifest.RenderOptions{
				Filters: []catalog.Filter{filter}, Releases: []manifest.Source{release("large")}, Dir: filepath.Join(t.TempDir(), "manifests"), Out: &out,
			})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "make pluginConfig smaller") {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || !strings.Contains(out.String(), c.want) {
				t.Errorf("error %v, told:\n%s\nwant %q", err, out.String(), c.want)
			}
		})
	}
}

func TestRenderCompare(t *testing.T) {
	t.Parallel()
	opts := options(t)
	if err := manifest.Render(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	opts.Out, opts.Compare = &out, opts.Dir
	opts.Dir = filepath.Join(t.TempDir(), "manifests")
	if err := manifest.Render(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), opts.Compare+": no difference\n") {
		t.Errorf("compared with itself:\n%s", out.String())
	}

	out.Reset()
	changed := opts
	changed.Releases = append([]manifest.Source{}, opts.Releases...)
	changed.Releases[0].ManifestDigest = "sha256:" + strings.Repeat("ab", 32)
	if err := os.Remove(filepath.Join(opts.Compare, "open", "envoy.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(opts.Compare, "mine.yaml"), []byte("a: b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := manifest.Render(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"everywhere/wasmplugin/wasmplugin.yaml:\n", "spec.url", strings.Repeat("ab", 32),
		"everywhere/trafficextension/trafficextension.yaml:\n",
		"open/envoy.yaml: new\n",
		"mine.yaml: no longer rendered\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the difference does not tell %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "everywhere/wasmplugin-http") || strings.Contains(out.String(), "\x1b[") {
		t.Errorf("the difference tells too much:\n%s", out.String())
	}
	if _, err := os.Stat(opts.Dir); err == nil {
		t.Error("a comparison has written manifests")
	}
}

// Whatever is wrong, nothing is written, and the old content stays.
func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	first := func(change func(*manifest.Source)) func(*manifest.RenderOptions) {
		return func(o *manifest.RenderOptions) { change(&o.Releases[0]) }
	}
	for name, test := range map[string]struct {
		change func(*manifest.RenderOptions)
		want   string
	}{
		"no filters":          {func(o *manifest.RenderOptions) { o.Filters, o.Releases = nil, nil }, "render: no filters were given"},
		"filter twice":        {func(o *manifest.RenderOptions) { o.Filters = append(o.Filters, o.Filters[0]) }, "render: filter everywhere was given twice"},
		"no apply section":    {func(o *manifest.RenderOptions) { o.Filters[0].Metadata.Apply = nil }, "render: testdata/filters/everywhere/filter.yaml: apply is missing; add the section, with at least failStrategy, to say where the filter runs"},
		"apply section":       {func(o *manifest.RenderOptions) { o.Filters[0].Metadata.Apply = &catalog.Apply{} }, "render: testdata/filters/everywhere/filter.yaml: apply.failStrategy: is missing"},
		"missing release":     {func(o *manifest.RenderOptions) { o.Releases = o.Releases[1:] }, "render: filter everywhere: no release was given; publish it first"},
		"release twice":       {func(o *manifest.RenderOptions) { o.Releases = append(o.Releases, o.Releases[0]) }, "render: release everywhere was given twice"},
		"release of no one":   {func(o *manifest.RenderOptions) { o.Releases = append(o.Releases, release("other")) }, "render: release other 1.4.0: no filter of that name was given"},
		"escaping name":       {func(o *manifest.RenderOptions) { o.Filters[0].Name, o.Releases[0].Filter = "../x", "../x" }, `render: release: filter name "../x": it has other characters than a-z, 0-9 and hyphens`},
		"escaping version":    {first(func(r *manifest.Source) { r.Version = "../../1.4.0" }), `render: release everywhere ../../1.4.0: version "../../1.4.0" is not a semantic version`},
		"version with v":      {first(func(r *manifest.Source) { r.Version = "v1.4.0" }), `version "v1.4.0": write it without the v: 1.4.0`},
		"build metadata":      {first(func(r *manifest.Source) { r.Version = "1.4.0+1" }), `leave +1 out`},
		"long version":        {first(func(r *manifest.Source) { r.Version = "1.4.0-" + strings.Repeat("a", 60) }), "is too long: a label in a cluster has room for 63 characters"},
		"published nowhere":   {first(func(r *manifest.Source) { *r = manifest.Source{Filter: r.Filter, Version: r.Version} }), "it is neither in a registry nor in a storage; push or upload it first"},
		"no manifest digest":  {first(func(r *manifest.Source) { r.ManifestDigest = "" }), `manifest digest "" is not sha256: and 64 lower-case hex digits`},
		"the other sha256":    {first(func(r *manifest.Source) { r.ManifestDigest = r.WasmSHA256 }), "is not sha256: and 64 lower-case hex digits"},
		"no tag":              {first(func(r *manifest.Source) { r.Tag = "" }), `tag "" is none that a registry can have`},
		"tag injects":         {first(func(r *manifest.Source) { r.Tag = "1\nkind: Secret" }), `tag "1\nkind: Secret" is none`},
		"digest alone":        {first(func(r *manifest.Source) { r.Repository = "" }), "without a repository"},
		"repository with tag": {first(func(r *manifest.Source) { r.Repository += ":1.4.0" }), `repository "ghcr.io/acme/filters/everywhere:1.4.0" is not a registry's host and a path`},
		"repository with URL": {first(func(r *manifest.Source) { r.Repository = "https://ghcr.io/acme" }), `repository "https://ghcr.io/acme" is not a registry's host`},
		"repository injects":  {first(func(r *manifest.Source) { r.Repository = "ghcr.io/a\nkind: Secret" }), `repository "ghcr.io/a\nkind: Secret" is not`},
		"no wasm sha256":      {first(func(r *manifest.Source) { r.WasmSHA256 = "" }), "a URL without a wasm sha256"},
		"a digest as sum":     {first(func(r *manifest.Source) { r.WasmSHA256 = r.ManifestDigest }), "is not 64 lower-case hex digits"},
		"sum in capitals":     {first(func(r *manifest.Source) { r.WasmSHA256 = strings.Repeat("AB", 32) }), "is not 64 lower-case hex digits"},
		"store's own URL":     {first(func(r *manifest.Source) { r.URL = "gs://bucket/x.wasm" }), `URL "gs://bucket/x.wasm" is not one that proxies can fetch`},
		"relative URL":        {first(func(r *manifest.Source) { r.URL = "/x.wasm" }), `URL "/x.wasm" is not one that proxies can fetch`},
		"signed URL":          {first(func(r *manifest.Source) { r.URL += "?X-Amz-Signature=hunter2" }), "a signed URL expires"},
		"URL injects":         {first(func(r *manifest.Source) { r.URL = "https://h/x\nkind: Secret" }), "the URL cannot be read"},
		"URL not ASCII":       {first(func(r *manifest.Source) { r.URL = "https://h/\xff.wasm" }), `URL "https://h/\xff.wasm" has characters that no URL has`},
		"password":            {first(func(r *manifest.Source) { r.URL = "https://user:hunter2@h/x.wasm" }), "the URL carries a user or password"},
		"image":               {func(o *manifest.RenderOptions) { o.HTTPBinImage = "a b" }, `render: filter everywhere: httpbin: image "a b" is not an image reference`},
		"image not pinned":    {func(o *manifest.RenderOptions) { o.HTTPBinImage = "mccutchen/go-httpbin" }, "is not pinned; add a tag other than latest, or a digest"},
		"image latest":        {func(o *manifest.RenderOptions) { o.HTTPBinImage = "mccutchen/go-httpbin:latest" }, "is not pinned"},
		"compare with none":   {func(o *manifest.RenderOptions) { o.Compare = "none" }, `render: compare with none: no such folder; give one with manifests, or "cluster"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := options(t)
			if err := os.MkdirAll(opts.Dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(opts.Dir, "old.yaml"), []byte("old\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			test.change(&opts)
			err := manifest.Render(t.Context(), opts)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v\nwant %q in it", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error tells a secret: %v", err)
			}
			if diff := cmp.Diff(map[string]string{"manifests/old.yaml": "old\n"}, tree(t, filepath.Dir(opts.Dir))); diff != "" {
				t.Errorf("files were changed (-want +got):\n%s", diff)
			}
		})
	}
}

// If the folder cannot be written, the old manifests stay and nothing else is left behind.
func TestRenderCannotWrite(t *testing.T) {
	t.Parallel()
	opts := options(t)
	parent := filepath.Dir(opts.Dir)
	if err := os.WriteFile(parent, []byte("a file where a folder should be"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := manifest.Render(t.Context(), opts)
	if err == nil || !strings.Contains(err.Error(), "render: write "+opts.Dir) {
		t.Errorf("error is %v", err)
	}
}
