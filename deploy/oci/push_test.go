package oci

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
)

// places runs a test against each kind of registry that has to be supported.
func places(t *testing.T, test func(t *testing.T, r *Registry)) {
	for name, open := range map[string]func(t *testing.T) *Registry{
		"registry": func(t *testing.T) *Registry { return openTest(t, startRegistry(t, embedded.Options{})) },
		"registry without referrers": func(t *testing.T) *Registry {
			return openTest(t, startWithoutReferrers(t))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func TestPushThenPull(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, r *Registry) {
		filter := buildtest.Filter(t, "headers", "hello")
		wasm, err := os.ReadFile(filter.Module.Path)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range push(t, r, "1.4.0", filter) {
			for _, ref := range []string{"headers:" + p.Tag, "headers@" + p.ManifestDigest, p.Reference(), p.Repository + ":" + p.Shape.tag("latest")} {
				parsed, err := r.ParseReference(ref)
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(t.TempDir(), "pulled.wasm")
				pulled, err := r.Pull(t.Context(), parsed, file)
				if err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != string(wasm) || pulled.WasmSHA256 != filter.Module.WasmSHA256 || pulled.ManifestDigest != p.ManifestDigest {
					t.Errorf("%s: pulled %+v, and the bytes are the same: %t", ref, pulled, string(got) == string(wasm))
				}
			}
		}
	})
}

// TestPushAgain pushes the same images a second time: it may send nothing but lookups.
func TestPushAgain(t *testing.T) {
	t.Parallel()
	proxy := faultproxytest.Start(t, startRegistry(t, embedded.Options{}))
	r := openTest(t, proxy.Addr)
	filters := []build.Built{buildtest.Filter(t, "headers", "a"), buildtest.Filter(t, "authtoken", "b")}
	first := push(t, r, "1.0.0", filters...)
	proxy.Forget()
	second := push(t, openTest(t, proxy.Addr), "1.0.0", filters...)
	if sent := proxy.Requests("^(GET|PUT|POST|PATCH|DELETE) "); len(sent) > 0 {
		t.Errorf("the second push sent %q", sent)
	}
	for i := range first {
		if first[i].Unchanged || !second[i].Unchanged || first[i].ManifestDigest != second[i].ManifestDigest {
			t.Errorf("first %+v\nsecond %+v", first[i], second[i])
		}
	}
}

// TestPushOtherBytes pushes other bytes under a taken version, together with a filter
// whose version is free: nothing may change, not even for the latter.
func TestPushOtherBytes(t *testing.T) {
	t.Parallel()
	proxy := faultproxytest.Start(t, startRegistry(t, embedded.Options{}))
	r := openTest(t, proxy.Addr)
	theirs := push(t, r, "1.0.0", buildtest.Filter(t, "headers", "theirs"))[0]
	proxy.Forget()
	_, err := r.Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "authtoken", "new"), buildtest.Filter(t, "headers", "ours")}, buildtest.Release("1.0.0")), PushOptions{})
	conflict := new(immutable.Conflict)
	if !errors.As(err, &conflict) || conflict.Published != theirs.ManifestDigest || !strings.Contains(err.Error(), conflict.Ours) || !strings.Contains(err.Error(), theirs.ManifestDigest) {
		t.Fatalf("error %v, want a conflict that names both digests", err)
	}
	if sent := proxy.Requests("^(PUT|POST|PATCH|DELETE) "); len(sent) > 0 {
		t.Errorf("it sent %q", sent)
	}
}

func TestMovingTags(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, r *Registry) {
		digests := map[string]string{"": ""}
		for _, step := range []struct {
			push                 string
			minor, major, latest string // what 1.2, 1 and latest point to afterwards
		}{
			{push: "1.2.0-rc.1"},
			{push: "1.2.3", minor: "1.2.3", major: "1.2.3", latest: "1.2.3"},
			{push: "1.2.1", minor: "1.2.3", major: "1.2.3", latest: "1.2.3"},
			{push: "1.2.10", minor: "1.2.10", major: "1.2.10", latest: "1.2.10"},
			{push: "1.3.0", minor: "1.2.10", major: "1.3.0", latest: "1.3.0"},
			{push: "1.2.11", minor: "1.2.11", major: "1.3.0", latest: "1.3.0"},
			{push: "2.0.0-beta", minor: "1.2.11", major: "1.3.0", latest: "1.3.0"},
			{push: "2.0.0", minor: "1.2.11", major: "1.3.0", latest: "2.0.0"},
			{push: "1.3.1", minor: "1.2.11", major: "1.3.1", latest: "2.0.0"},
			{push: "1.2.3", minor: "1.2.11", major: "1.3.1", latest: "2.0.0"},
		} {
			for _, p := range push(t, r, step.push, buildtest.Filter(t, "headers", step.push)) {
				digests[p.Tag] = p.ManifestDigest
			}
			for _, shape := range Shapes {
				for moving, version := range map[string]string{"1.2": step.minor, "1": step.major, "latest": step.latest} {
					want := ""
					if version != "" {
						want = digests[shape.tag(version)]
					}
					if got := digestOf(t, r, "headers", shape.tag(moving)); got != want {
						t.Errorf("after %s: %s is %s, want that of %q, %s", step.push, shape.tag(moving), got, version, want)
					}
				}
			}
		}
	})
}
