package facts_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/facts"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// module writes a module that Envoy loads; different content makes a different module.
func module(t *testing.T, name, content string) build.Module {
	t.Helper()
	return buildtest.Filter(t, name, content).Module
}

func openRegistry(t *testing.T) (r *oci.Registry, address string) {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	r, err = oci.Open(oci.RegistryOptions{Address: server.Addr() + "/acme"})
	if err != nil {
		t.Fatal(err)
	}
	return r, server.Addr()
}

func openStorage(t *testing.T) *storage.Storage {
	t.Helper()
	s, err := storage.Open(storage.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func push(t *testing.T, r *oci.Registry, m build.Module) oci.Published {
	t.Helper()
	images, err := oci.NewImages(build.Release{
		Version: version.MustParse("1.4.0"), Revision: strings.Repeat("0", 40), Created: time.Unix(0, 0),
		Filters: []build.Built{{Filter: catalog.Filter{Metadata: catalog.Metadata{Title: "T", Description: "D.", License: "MIT"}}, Module: m}},
	})
	if err != nil {
		t.Fatal(err)
	}
	published, err := r.Push(t.Context(), images, oci.PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return published[0]
}

func upload(t *testing.T, s *storage.Storage, m build.Module) {
	t.Helper()
	if _, err := storage.Upload(t.Context(), s, storage.UploadOptions{Version: version.MustParse("1.4.0"), Modules: []build.Module{m}}); err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	r, address := openRegistry(t)
	s := openStorage(t)
	m := module(t, "headers", "a")
	published := push(t, r, m)
	upload(t, s, m)

	want := manifest.Source{
		Filter: "headers", Version: "1.4.0",
		Repository: address + "/acme/headers", Tag: "1.4.0", ManifestDigest: published.ManifestDigest,
		URL: s.PublicURL("headers/1.4.0/headers.wasm"), WasmSHA256: m.WasmSHA256,
	}
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.PublicURL(strings.TrimPrefix(r.URL.Path, "/")), http.StatusFound)
	}))
	t.Cleanup(moved.Close)
	behind, err := storage.OpenPublic(moved.URL, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	onlyOCI, onlyHTTP := want, want
	onlyOCI.URL = ""
	onlyHTTP.Repository, onlyHTTP.Tag, onlyHTTP.ManifestDigest = "", "", ""
	redirected := onlyHTTP
	redirected.URL, redirected.Redirect = behind.PublicURL("headers/1.4.0/headers.wasm"), onlyHTTP.URL
	for name, test := range map[string]struct {
		opts facts.Options
		want manifest.Source
	}{
		"both":     {facts.Options{Registry: r, Storage: s}, want},
		"registry": {facts.Options{Registry: r}, onlyOCI},
		"storage":  {facts.Options{Storage: s}, onlyHTTP},
		"redirect": {facts.Options{Storage: behind}, redirected},
	} {
		test.opts.Filters, test.opts.Version = []string{"headers"}, version.MustParse("1.4.0")
		got, err := facts.Read(t.Context(), test.opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]manifest.Source{test.want}, got); diff != "" {
			t.Errorf("%s: facts differ (-want +got):\n%s", name, diff)
		}
		if err := got[0].Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		// options publishes all that is needed, or less, and returns the options to find it.
		options func(t *testing.T) facts.Options
		want    []string
	}{
		"nowhere": {
			func(*testing.T) facts.Options { return facts.Options{} },
			[]string{"neither a registry nor a storage"},
		},
		"version": {
			func(t *testing.T) facts.Options {
				return facts.Options{Storage: openStorage(t)}
			},
			[]string{"no version was given"},
		},
		"not in the registry": {
			func(t *testing.T) facts.Options {
				r, _ := openRegistry(t)
				return facts.Options{Registry: r}
			},
			[]string{"read release headers 1.4.0 from the registry", "not found; push it first"},
		},
		"not in the storage": {
			func(t *testing.T) facts.Options { return facts.Options{Storage: openStorage(t)} },
			[]string{"read release 1.4.0 from the storage", "it was not published here"},
		},
		"in the registry only": {
			func(t *testing.T) facts.Options {
				r, _ := openRegistry(t)
				push(t, r, module(t, "headers", "a"))
				return facts.Options{Registry: r, Storage: openStorage(t)}
			},
			[]string{"from the storage", "it was not published here"},
		},
		"another module": {
			func(t *testing.T) facts.Options {
				r, _ := openRegistry(t)
				s := openStorage(t)
				push(t, r, module(t, "headers", "a"))
				upload(t, s, module(t, "headers", "b"))
				return facts.Options{Registry: r, Storage: s}
			},
			[]string{"headers: the module has wasm sha256", "in the registry; publish both from one build, under a new version"},
		},
		"the digest disappeared": {
			func(t *testing.T) facts.Options {
				r, address := openRegistry(t)
				published := push(t, r, module(t, "headers", "a"))
				remove(t, "http://"+address+"/v2/acme/headers/manifests/"+published.ManifestDigest)
				// The program that pushed it has read it back, and does not read it again.
				other, err := oci.Open(oci.RegistryOptions{Address: address + "/acme"})
				if err != nil {
					t.Fatal(err)
				}
				return facts.Options{Registry: other}
			},
			[]string{"read release headers 1.4.0 from the registry"},
		},
		"somebody else's image": {
			func(t *testing.T) facts.Options {
				r, address := openRegistry(t)
				ref, err := name.ParseReference(address + "/acme/headers:1.4.0")
				if err != nil {
					t.Fatal(err)
				}
				if err := remote.Write(ref, empty.Image); err != nil {
					t.Fatal(err)
				}
				return facts.Options{Registry: r}
			},
			[]string{"read release headers 1.4.0 from the registry: ", "acme/headers:1.4.0"},
		},
		"a private storage": {
			func(t *testing.T) facts.Options {
				s := openStorage(t)
				upload(t, s, module(t, "headers", "a"))
				private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(http.StatusForbidden)
				}))
				t.Cleanup(private.Close)
				public, err := storage.OpenPublic(private.URL, storage.Options{})
				if err != nil {
					t.Fatal(err)
				}
				return facts.Options{Storage: public}
			},
			[]string{"403", "without credentials"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := test.options(t)
			opts.Filters = []string{"headers"}
			if name != "version" {
				opts.Version = version.MustParse("1.4.0")
			}
			got, err := facts.Read(t.Context(), opts)
			if err == nil || got != nil {
				t.Fatalf("got %v, %v; want an error alone", got, err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %v\nwant %q in it", err, want)
				}
			}
		})
	}
}

// remove deletes a manifest by its digest. Its tag stays, as in a registry whose clean-up went
// wrong.
func remove(t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("DELETE %s: %s", url, res.Status)
	}
}
