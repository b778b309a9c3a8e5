package oci

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/oci/distributiontest"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// TestDistribution pushes to a registry that asks for a password. It reads back with
// go-containerregistry, which shares no code with the push.
func TestDistribution(t *testing.T) {
	t.Parallel()
	proxy := faultproxytest.Start(t, distributiontest.Start(t, distributiontest.Options{Auth: true}))
	r := openWith(t, RegistryOptions{Address: proxy.Addr + "/acme/filters", Username: distributiontest.Username, Password: distributiontest.Password})
	filter := buildtest.Filter(t, "headers", large)
	published := push(t, r, "1.4.0", filter)
	for _, p := range published {
		for _, reference := range []string{p.Repository + ":" + p.Tag, p.Reference(), p.Repository + ":" + p.Shape.tag("latest")} {
			ref, err := name.ParseReference(reference)
			if err != nil {
				t.Fatal(err)
			}
			image, err := remote.Image(ref, remote.WithAuth(&authn.Basic{Username: distributiontest.Username, Password: distributiontest.Password}))
			if err != nil {
				t.Fatal(err)
			}
			digest, err := image.Digest()
			if err != nil || digest.String() != p.ManifestDigest {
				t.Errorf("%s: digest %s, error %v; want %s", reference, digest, err, p.ManifestDigest)
			}
			layers, err := image.Layers()
			if err != nil {
				t.Fatal(err)
			}
			for _, layer := range layers {
				content, err := layer.Compressed()
				if err != nil {
					t.Fatal(err)
				}
				size, err := layer.Size()
				if err != nil {
					t.Fatal(err)
				}
				var read counter
				if _, err := io.Copy(&read, content); err != nil || int64(read) != size {
					t.Errorf("%s: a layer of %d bytes gave %d, error %v", reference, size, read, err)
				}
			}
		}
		checkComplete(t, r, "headers", p.Tag, p.ManifestDigest)
	}
	proxy.Forget()
	again := push(t, openWith(t, RegistryOptions{Address: proxy.Addr + "/acme/filters", Username: distributiontest.Username, Password: distributiontest.Password}), "1.4.0", filter)
	if sent := proxy.Requests("^(PUT|POST|PATCH|DELETE) "); len(sent) > 0 || !again[0].Unchanged {
		t.Errorf("the second push sent %q", sent)
	}
}

// TestCredentials opens the same registry with each kind of credentials.
func TestCredentials(t *testing.T) {
	address := distributiontest.Start(t, distributiontest.Options{Auth: true})
	const wrong = "not-the-passw0rd"
	config := t.TempDir()
	t.Setenv("DOCKER_CONFIG", config)
	login := func(password string) {
		t.Helper()
		switch password {
		case "":
			return
		case "empty":
			password = ""
		}
		data, err := json.Marshal(map[string]any{"auths": map[string]any{address: map[string]string{
			"username": distributiontest.Username, "password": password,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(config, "config.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, docker string
		opts         RegistryOptions
		want         string
	}{
		{name: "none", want: `run "docker login ` + address + `"`},
		{name: "no password in docker", docker: "empty", want: `run "docker login ` + address + `"`},
		{name: "environment", opts: RegistryOptions{Username: distributiontest.Username, Password: distributiontest.Password}},
		{name: "wrong in the environment", docker: distributiontest.Password, opts: RegistryOptions{Username: distributiontest.Username, Password: wrong}, want: "does not accept this user name"},
		{name: "docker", docker: distributiontest.Password},
		{name: "wrong in docker", docker: wrong, want: "401 Unauthorized"},
	} {
		login(c.docker)
		c.opts.Address = address + "/acme"
		_, err := openWith(t, c.opts).Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "")}, buildtest.Release("1.0.0")), PushOptions{})
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), distributiontest.Password)) {
			t.Errorf("%s: a password is in %q", c.name, err)
		}
	}
}

// TestCredentialHelper gets the password from a helper program, as docker does.
func TestCredentialHelper(t *testing.T) {
	address := distributiontest.Start(t, distributiontest.Options{Auth: true})
	folder := t.TempDir()
	helper := "#!/bin/sh\necho '{\"ServerURL\":\"x\",\"Username\":\"" + distributiontest.Username + "\",\"Secret\":\"" + distributiontest.Password + "\"}'\n"
	if err := os.WriteFile(filepath.Join(folder, "docker-credential-slipwaytest"), []byte(helper), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "config.json"), []byte(`{"credHelpers":{"`+address+`":"slipwaytest"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", folder)
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	push(t, openTest(t, address), "1.0.0", buildtest.Filter(t, "headers", ""))
}

// TestBlobsThereAreNotSent publishes the same module under a second version: its blobs
// are not sent again.
func TestBlobsThereAreNotSent(t *testing.T) {
	t.Parallel()
	proxy := faultproxytest.Start(t, distributiontest.Start(t, distributiontest.Options{}))
	filter := buildtest.Filter(t, "headers", large)
	for _, version := range []string{"1.0.0", "1.0.1"} {
		proxy.Forget()
		if _, err := openTest(t, proxy.Addr).Push(t.Context(), images(t, []build.Built{filter}, buildtest.Release(version)), PushOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if sent := proxy.Requests("^(POST|PATCH) |" + putBlob); len(sent) > 0 {
		t.Errorf("the second version sent %q", sent)
	}
}

// TestTwoPushesAtOnce pushes different bytes under one version from several clients at
// once. Exactly one may succeed, and the version has to be what that one pushed. If
// there is a proxy, it makes the clients meet: all have looked before the first one
// writes, and all have written before the first one reads back.
func TestTwoPushesAtOnce(t *testing.T) {
	t.Parallel()
	contents := []string{"one", "two", "three"}
	meet := func(registry string) string {
		var mu sync.Mutex
		meetings := make(map[string]*sync.WaitGroup) // by path
		return faultproxytest.Start(t, registry, faultproxytest.Rule{Match: "^PUT .*/manifests/1", Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			mu.Lock()
			looked, written := meetings["looked "+r.URL.Path], meetings["written "+r.URL.Path]
			if looked == nil {
				looked, written = new(sync.WaitGroup), new(sync.WaitGroup)
				looked.Add(len(contents))
				written.Add(len(contents))
				meetings["looked "+r.URL.Path], meetings["written "+r.URL.Path] = looked, written
			}
			mu.Unlock()
			looked.Done()
			looked.Wait()
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, r)
			written.Done()
			written.Wait()
			w.WriteHeader(answer.Code)
		}}).Addr
	}
	for name, address := range map[string]string{
		"embedded":     meet(startRegistry(t, embedded.Options{})),
		"distribution": meet(distributiontest.Start(t, distributiontest.Options{})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, version := range []string{"1.0.0", "1.0.1", "1.0.2"} {
				var winners []string
				var mu sync.Mutex
				var group sync.WaitGroup
				for _, content := range contents {
					filter := buildtest.Filter(t, "headers", version+content)
					r := openTest(t, address)
					group.Go(func() {
						published, err := r.Push(t.Context(), images(t, []build.Built{filter}, buildtest.Release(version)), PushOptions{HoldTags: true})
						if err != nil {
							if !errors.As(err, new(*immutable.Conflict)) {
								t.Errorf("%s: %v", version, err)
							}
							return
						}
						mu.Lock()
						defer mu.Unlock()
						winners = append(winners, published[0].ManifestDigest)
					})
				}
				group.Wait()
				got := []string{digestOf(t, openTest(t, address), "headers", version)}
				if diff := cmp.Diff(winners, got); diff != "" {
					t.Errorf("%s: winners and what is published (-winners +published):\n%s", version, diff)
				}
			}
		})
	}
}

// TestRivalBetweenTries: somebody else publishes the version before our second try.
// What was published stays.
func TestRivalBetweenTries(t *testing.T) {
	t.Parallel()
	address := startRegistry(t, embedded.Options{})
	var theirs string
	proxy := faultproxytest.Start(t, address, faultproxytest.Rule{Match: putVersionTag, Times: 1, Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		published, err := openTest(t, address).Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "theirs")}, buildtest.Release("1.0.0")), PushOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		theirs = published[0].ManifestDigest
		faultproxytest.Status(http.StatusServiceUnavailable)(w, r, next)
	}})
	_, err := openTest(t, proxy.Addr).Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "ours")}, buildtest.Release("1.0.0")), PushOptions{})
	if !errors.As(err, new(*immutable.Conflict)) {
		t.Errorf("error %v, want a conflict", err)
	}
	if got := digestOf(t, openTest(t, address), "headers", "1.0.0"); got != theirs {
		t.Errorf("the version is %s, and was published as %s", got, theirs)
	}
}

// TestRivalAtTheSameMoment: somebody else publishes the version after we looked, and before we
// write. A registry that knows conditions keeps what they published. Any other moves the tag:
// then only looking again, by both, tells who lost.
func TestRivalAtTheSameMoment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		address string
		keeps   bool
	}{
		"embedded":     {startRegistry(t, embedded.Options{}), true},
		"distribution": {distributiontest.Start(t, distributiontest.Options{}), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var theirs string
			proxy := faultproxytest.Start(t, c.address, faultproxytest.Rule{Match: putVersionTag, Times: 1, Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				published, err := openTest(t, c.address).Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "theirs")}, buildtest.Release("1.0.0")), PushOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				theirs = published[0].ManifestDigest
				next.ServeHTTP(w, r)
			}})
			_, err := openTest(t, proxy.Addr).Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "ours")}, buildtest.Release("1.0.0")), PushOptions{})
			kept := digestOf(t, openTest(t, c.address), "headers", "1.0.0") == theirs
			if kept != c.keeps {
				t.Errorf("the tag is theirs: %t, want %t", kept, c.keeps)
			}
			if conflict := new(immutable.Conflict); kept && (!errors.As(err, &conflict) || !conflict.Lost || conflict.Published != theirs) {
				t.Errorf("error %v, want a conflict with %s", err, theirs)
			}
		})
	}
}

// TestMovingTagsAtOnce pushes several versions at once. Whichever push ends last, the
// moving tags end at the newest version.
func TestMovingTagsAtOnce(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"embedded":     startRegistry(t, embedded.Options{}),
		"distribution": distributiontest.Start(t, distributiontest.Options{}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			digests := make(map[string]string)
			var mu sync.Mutex
			var group sync.WaitGroup
			for _, version := range []string{"1.2.0", "1.2.1", "1.3.0", "1.2.10", "2.0.0", "3.0.0-rc.1"} {
				filter := buildtest.Filter(t, "headers", version)
				r := openTest(t, address)
				group.Go(func() {
					published, err := r.Push(t.Context(), images(t, []build.Built{filter}, buildtest.Release(version)), PushOptions{})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					digests[version] = published[0].ManifestDigest
				})
			}
			group.Wait()
			r := openTest(t, address)
			for moving, version := range map[string]string{"1.2": "1.2.10", "1.3": "1.3.0", "1": "1.3.0", "2": "2.0.0", "latest": "2.0.0"} {
				if got := digestOf(t, r, "headers", moving); got != digests[version] {
					t.Errorf("%s is %s, want that of %s, %s; all: %v", moving, got, version, digests[version], digests)
				}
			}
		})
	}
}

// TestHoldTags: a push with HoldTags leaves the moving tags to Move.
func TestHoldTags(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	published, err := r.Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "")}, buildtest.Release("1.0.0")), PushOptions{HoldTags: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := digestOf(t, r, "headers", "latest"); got != "" {
		t.Errorf("latest is %s before Move", got)
	}
	moved, err := r.Move(t.Context(), published)
	if err != nil || len(moved) != 1 || cmp.Diff([]string{"1.0", "1", "latest"}, moved[0].Moved) != "" {
		t.Errorf("moved %+v, error %v", moved, err)
	}
	if got := digestOf(t, r, "headers", "latest"); got != published[0].ManifestDigest {
		t.Errorf("latest is %s after Move", got)
	}
}

// TestHeldTagsOfNewerVersion publishes an old version, while the push of a newer one has
// not set its moving tags yet, or was killed before it did. The old version must not get
// these tags.
func TestHeldTagsOfNewerVersion(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, r *Registry) {
		newer, err := r.Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "newer")}, buildtest.Release("1.2.3")), PushOptions{HoldTags: true})
		if err != nil {
			t.Fatal(err)
		}
		older, err := r.Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "older")}, buildtest.Release("1.2.1")), PushOptions{})
		if err != nil || len(older[0].Moved) > 0 {
			t.Errorf("moved %v, error %v", older[0].Moved, err)
		}
		if _, err := r.Move(t.Context(), newer); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"1.2.1": older[0].ManifestDigest}
		for _, tag := range []string{"1.2.3", "1.2", "1", "latest"} {
			want[tag] = newer[0].ManifestDigest
		}
		if diff := cmp.Diff(want, tagDigests(t, r)); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
	})
}

// TestForeignMovingTag: a tag that another tool set, on a manifest without a version,
// is left alone.
func TestForeignMovingTag(t *testing.T) {
	t.Parallel()
	r := openTest(t, startRegistry(t, embedded.Options{}))
	image, err := NewImage(Artifact, buildtest.Filter(t, "headers", "foreign"), build.Release{Version: version.MustParse("0.0.0")})
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(image.Manifest, &m.Manifest); err != nil {
		t.Fatal(err)
	}
	m.Annotations = nil
	publish(t, r, image.Blobs, m.Manifest, "latest")
	before := digestOf(t, r, "headers", "latest")
	_, err = r.Push(t.Context(), images(t, []build.Built{buildtest.Filter(t, "headers", "")}, buildtest.Release("1.0.0")), PushOptions{})
	if err == nil || !strings.Contains(err.Error(), "move it by hand") || digestOf(t, r, "headers", "latest") != before {
		t.Errorf("error %v", err)
	}
}

// TestPushRefuses pushes filters that must not be published: nothing may be sent.
func TestPushRefuses(t *testing.T) {
	t.Parallel()
	proxy := faultproxytest.Start(t, startRegistry(t, embedded.Options{}))
	r := openTest(t, proxy.Addr)
	good := buildtest.Filter(t, "headers", "hello")
	changed := buildtest.Filter(t, "changed", "hello")
	if err := os.WriteFile(changed.Module.Path, []byte("\x00asm\x01\x00\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := buildtest.Filter(t, "missing", "hello")
	if err := os.Remove(missing.Module.Path); err != nil {
		t.Fatal(err)
	}
	refused := buildtest.Module(t, "refused", []byte("\x00asm\x01\x00\x00\x00"))
	ends := buildtest.Module(t, "ends", wasmtest.Encode(wasmtest.Starts()["proc_exit in _start"].Options))
	huge := buildtest.Filter(t, "huge", "hello")
	huge.Module.Size = maxWasm + 1
	odd := buildtest.Filter(t, "odd", "hello")
	odd.Module.WasmSHA256 = "../../etc/passwd"
	capital := buildtest.Filter(t, "Capital", "hello")
	for name, c := range map[string]struct {
		filter build.Built
		shape  Shape
		want   string
	}{
		"shape":                 {good, "round", "does not exist"},
		"changed module":        {changed, Artifact, "module"},
		"changed compat":        {changed, Compat, "was changed after it was built"},
		"missing module":        {missing, Artifact, "no such file"},
		"module that won't run": {refused, Artifact, "envoy would not load"},
		"module that ends":      {ends, Artifact, "_start calls wasi_snapshot_preview1.proc_exit, which Envoy forbids there"},
		"huge module":           {huge, Artifact, "proxies read no more"},
		"sum that is none":      {odd, Artifact, "wasm sha256"},
		"name":                  {capital, Artifact, "Capital"},
	} {
		images, err := NewImages(buildtest.Release("1.0.0", good, c.filter), c.shape)
		if err == nil {
			_, err = r.Push(t.Context(), images, PushOptions{})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		if sent := proxy.Requests("^(PUT|POST|PATCH|DELETE) "); len(sent) > 0 {
			t.Errorf("%s: it sent %q", name, sent)
		}
	}
}

// TestModuleChangesWhileItIsSent replaces the module's file by another valid module.
// Either the bytes of the record are published, or nothing is.
func TestModuleChangesWhileItIsSent(t *testing.T) {
	t.Parallel()
	proxy := faultproxytest.Start(t, startRegistry(t, embedded.Options{}))
	r := openTest(t, proxy.Addr)
	filter, other := buildtest.Filter(t, "headers", "hello"), buildtest.Filter(t, "headers", "HELLO")
	if err := os.Rename(other.Module.Path, filter.Module.Path); err != nil {
		t.Fatal(err)
	}
	_, err := r.Push(t.Context(), images(t, []build.Built{filter}, buildtest.Release("1.0.0")), PushOptions{})
	if err == nil || !strings.Contains(err.Error(), "was changed after it was built") {
		t.Errorf("error %v", err)
	}
	if sent := proxy.Requests("^PUT .*/manifests/"); len(sent) > 0 {
		t.Errorf("manifests were sent: %q", sent)
	}
}
