package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/attest/stored"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/internal/faultproxytest"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/oci/ocitest"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/verify"
	"github.com/slipway-wasm/slipway/deploy/version"
)

const text = "1.4.0"

// TestMain gives the password of the key pair for tests, as users do.
func TestMain(m *testing.M) {
	if err := os.Setenv("COSIGN_PASSWORD", "test"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var released = version.MustParse(text)

// place is a signed release of one filter, in folders that a test can tamper with.
type place struct {
	filter   build.Built
	address  string
	dir      string // the registry's folder
	registry *oci.Registry
	stored   string // the storage's folder
	storage  *storage.Storage
	policy   attest.Policy
	tested   bool // a signed test result is demanded
}

// publish publishes a filter and signs it.
func publish(t *testing.T) *place {
	t.Helper()
	p := &place{filter: buildtest.Filter(t, "headers", "hello"), dir: t.TempDir(), stored: t.TempDir()}
	p.address = start(t, p.dir)
	p.registry = ocitest.Push(t, p.address, text, nil, p.filter)
	s, err := storage.Open(storage.Options{Dir: p.stored})
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	p.storage = s
	_, err = storage.Upload(t.Context(), s, storage.UploadOptions{Version: released, Modules: []build.Module{p.filter.Module}})
	check(t, err)
	signed, err := stored.Sign(t.Context(), s, p.signOptions(t))
	check(t, err)
	p.policy.Key = filepath.Join(t.TempDir(), "cosign.pub")
	check(t, os.WriteFile(p.policy.Key, []byte(signed.PublicKey), 0o600))
	return p
}

func start(t *testing.T, dir string) string {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
	check(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server.Addr()
}

func (p *place) signOptions(t *testing.T) attest.SignOptions {
	t.Helper()
	return attest.SignOptions{
		Registry: p.registry,
		Release:  buildtest.Release(text, p.filter),
		Builder:  attest.Builder{ID: attest.LocalBuilder},
		Signer:   attest.Signer{Rehearsal: true},
		Played:   buildtest.Played(p.filter),
	}
}

func (p *place) verify(t *testing.T) []attest.Check {
	t.Helper()
	found, err := verify.Version(t.Context(), verify.Options{
		Filters: []string{"headers"}, Version: released, Registry: p.registry, Storage: p.storage, Policy: p.policy, Tested: p.tested,
	})
	check(t, err)
	return found.Checks
}

func (p *place) manifest(t *testing.T) oci.Manifest {
	t.Helper()
	all, err := p.registry.Subjects(t.Context(), "headers", released)
	check(t, err)
	return all[0].Manifest
}

// bundle returns the content of the attached file with a name.
func (p *place) bundle(t *testing.T, name string) []byte {
	t.Helper()
	all, err := p.registry.Attached(t.Context(), p.manifest(t).ByDigest(), attest.BundleMediaType)
	check(t, err)
	i := slices.IndexFunc(all, func(a oci.Attachment) bool { return a.Name == name })
	if i < 0 {
		t.Fatalf("%s is not attached", name)
	}
	return all[i].Content
}

// attach attaches any content as a bundle.
func (p *place) attach(t *testing.T, name string, content []byte) {
	t.Helper()
	_, err := p.registry.Attach(t.Context(), p.manifest(t).ByDigest(), oci.Attachment{ArtifactType: attest.BundleMediaType, Name: name, Content: content})
	check(t, err)
}

// replace deletes a bundle and attaches it again with a changed envelope.
func (p *place) replace(t *testing.T, name string, change func(envelope map[string]any)) {
	t.Helper()
	var bundle map[string]any
	check(t, json.Unmarshal(p.bundle(t, name), &bundle))
	p.remove(t, name)
	change(bundle["dsseEnvelope"].(map[string]any))
	content, err := json.Marshal(bundle)
	check(t, err)
	p.attach(t, name, content)
}

// edit changes a text in a bundle's statement, and leaves the signature.
func (p *place) edit(t *testing.T, name, old, other string) {
	t.Helper()
	p.replace(t, name, func(e map[string]any) {
		payload, err := base64.StdEncoding.DecodeString(e["payload"].(string))
		check(t, err)
		if !bytes.Contains(payload, []byte(old)) {
			t.Fatalf("no %s in %s", old, payload)
		}
		e["payload"] = bytes.ReplaceAll(payload, []byte(old), []byte(other))
	})
}

// remove deletes a bundle.
func (p *place) remove(t *testing.T, name string) {
	t.Helper()
	nodes, err := p.registry.Discover(t.Context(), p.manifest(t).ByDigest())
	check(t, err)
	i := slices.IndexFunc(nodes, func(n oci.Node) bool { return slices.Contains(n.Files, name) })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+p.address+"/v2/acme/headers/manifests/"+nodes[i].ManifestDigest, nil)
	check(t, err)
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	check(t, response.Body.Close())
	if response.StatusCode != http.StatusAccepted {
		t.Fatalf("delete %s: %s", name, response.Status)
	}
}

// editBlob changes a blob in the registry's folder.
func (p *place) editBlob(t *testing.T, sha256 string) {
	t.Helper()
	path := filepath.Join(p.dir, "blobs", "sha256", sha256)
	content, err := os.ReadFile(path)
	check(t, err)
	content[len(content)-1] ^= 1
	check(t, os.WriteFile(path, content, 0o600))
}

// write changes an object in the storage's folder.
func (p *place) write(t *testing.T, key, content string) {
	t.Helper()
	path := filepath.Join(p.stored, filepath.FromSlash(key))
	check(t, os.Remove(path))
	check(t, os.WriteFile(path, []byte(content), 0o600))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// describe lists the states, one word for each part: "manifest ok, sum ok, …".
func describe(checks []attest.Check) string {
	var all []string
	for _, c := range checks {
		all = append(all, fmt.Sprintf("%s %s", c.What, c.State))
	}
	return strings.Join(all, ", ")
}

const allOK = "manifest ok, sum ok, signature ok, provenance ok, sbom ok, tested ok"

// Releases of which the test result alone is wrong, or missing.
const (
	untested = "manifest ok, sum ok, signature ok, provenance ok, sbom ok, tested wrong"
	missing  = "manifest ok, sum ok, signature ok, provenance ok, sbom ok, tested missing"
)

const tagsOK = ", tag ok, tag ok, tag ok"

// states leaves out the moving tags and the signature of the stored module, if they are right.
func states(checks []attest.Check) string {
	return describe(slices.DeleteFunc(slices.Clone(checks), func(c attest.Check) bool {
		return c.State == attest.OK && (c.What == "tag" || c.What == "signature" && strings.HasPrefix(c.Subject, "http"))
	}))
}

func TestVersion(t *testing.T) {
	t.Parallel()
	p := publish(t)
	checks := p.verify(t)
	if got := states(checks); got != allOK || attest.Failed(checks) != nil {
		t.Errorf("%s: %v", got, attest.Failed(checks))
	}
	var text bytes.Buffer
	check(t, attest.WriteChecks(&text, checks))
	if !strings.Contains(text.String(), p.manifest(t).ManifestDigest) || !strings.Contains(text.String(), p.policy.Key) {
		t.Errorf("the table does not say what was accepted:\n%s", text.String())
	}

	p.policy = attest.Policy{}
	checks = p.verify(t)
	if got := states(checks); got != "manifest ok, sum ok, signature unchecked, provenance unchecked, sbom unchecked, tested unchecked, signature unchecked" {
		t.Errorf("without a policy: %s", got)
	}
	if err := attest.Failed(checks); err == nil || !errors.Is(err, attest.ErrPolicy) {
		t.Errorf("without a policy: %v", err)
	}
}

// TestUnsigned: an unsigned release passes if no signatures are asked for, and fails if
// they are.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	p := publish(t)
	key := p.policy
	p.policy = attest.Policy{}
	check(t, os.Remove(filepath.Join(p.stored, filepath.FromSlash(storage.BundleKey("headers", text)))))
	p.registry = ocitest.Push(t, start(t, t.TempDir()), text, nil, p.filter)
	checks := p.verify(t)
	if got := states(checks); got != "manifest ok, sum ok, signature missing, provenance missing, sbom ok, tested missing, signature missing" || attest.Failed(checks) != nil {
		t.Errorf("%s: %v", got, attest.Failed(checks))
	}
	p.policy = key
	checks = p.verify(t)
	if got := states(checks); got != "manifest ok, sum ok, signature missing, provenance missing, sbom missing, tested missing, signature missing" || attest.Failed(checks) == nil {
		t.Errorf("with a policy: %s", got)
	}
}

// TestTested: a test result that is missing fails only if it is demanded.
func TestTested(t *testing.T) {
	t.Parallel()
	p := publish(t)
	checks := p.verify(t)
	last := checks[slices.IndexFunc(checks, func(c attest.Check) bool { return c.What == attest.WhatTested })]
	if want := "2 scenarios in Envoy 1.36.4, 1.40.0, signed with " + p.policy.Key; last.Detail != want || len(last.Results) != 1 {
		t.Errorf("%+v\nwant %s", last, want)
	}
	check(t, last.Confirm(attest.TestsOf(*buildtest.Played(p.filter), "headers")))
	p.tested = true
	check(t, attest.Failed(p.verify(t)))

	p.remove(t, "test-result.sigstore.json")
	checks = p.verify(t)
	if err := attest.Failed(checks); states(checks) != missing || err == nil || !strings.Contains(err.Error(), "the test result is missing: none is attached") {
		t.Errorf("%s: %v", states(checks), err)
	}
	p.tested = false
	checks = p.verify(t)
	if states(checks) != missing || attest.Failed(checks) != nil {
		t.Errorf("not demanded: %s: %v", states(checks), attest.Failed(checks))
	}

	// A storage has no test results.
	p.registry, p.tested = nil, true
	checks = p.verify(t)
	if got := states(checks); got != "sum ok, tested missing" || attest.Failed(checks) == nil {
		t.Errorf("in a storage: %s", got)
	}
}

// TestReference: a reference by tag, moving tag or digest is verified as a version is, with
// its signatures.
func TestReference(t *testing.T) {
	t.Parallel()
	p := publish(t)
	signed := p.manifest(t)
	reference := func(tag string) oci.Reference {
		return oci.Reference{Repository: p.registry.Address() + "/headers", Tag: tag}
	}
	verified := func(ref oci.Reference) []attest.Check {
		t.Helper()
		found, err := verify.Reference(t.Context(), verify.ReferenceOptions{Registry: p.registry, Reference: ref, Policy: p.policy})
		check(t, err)
		return found.Checks
	}
	const right = "manifest ok, signature ok, provenance ok, sbom ok, tested ok"
	for ref, want := range map[oci.Reference]string{
		reference(text): right, reference("1.4"): right + ", tag ok", reference("latest"): right + ", tag ok", signed.ByDigest(): right,
		reference("2.0.0"): "manifest missing",
	} {
		if got := describe(verified(ref)); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
	// Proxies obey the digest of such a reference, and people read its tag.
	both := reference(text)
	both.Digest = signed.ManifestDigest
	if got := describe(verified(both)); got != right {
		t.Errorf("%s: %s", both, got)
	}
	for tag, want := range map[string]string{"1.3.0": "the registry has no tag 1.3.0", "latest": ""} {
		both.Tag = tag
		checks := verified(both)
		if err := attest.Failed(checks); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", both, err, want)
		}
	}
	p.policy = attest.Policy{}
	if got := describe(verified(reference(text))); got != "manifest ok, signature unchecked, provenance unchecked, sbom unchecked, tested unchecked" {
		t.Errorf("without a policy: %s", got)
	}

	// Somebody with push access moves the tags to another module, which nobody signed.
	p = publish(t)
	first := p.manifest(t).ManifestDigest
	other, err := oci.Open(oci.RegistryOptions{Address: p.address + "/evil", Anonymous: true})
	check(t, err)
	release := buildtest.Release(text, buildtest.Filter(t, "headers", "other"))
	images, err := oci.NewImages(release)
	check(t, err)
	_, err = other.Push(t.Context(), images, oci.PushOptions{})
	check(t, err)
	_, err = other.AttachSBOMs(t.Context(), release)
	check(t, err)
	for _, tag := range []string{text, "latest"} {
		copyManifest(t, p.address, "evil/headers", text, "acme/headers", tag)
		checks := verified(reference(tag))
		if got := describe(checks); !strings.HasPrefix(got, "manifest ok, signature missing, provenance missing, sbom missing, tested missing") || attest.Failed(checks) == nil {
			t.Errorf("an unsigned manifest under %s: %s", tag, got)
		}
		old := reference(tag)
		old.Digest = first
		if err := attest.Failed(verified(old)); err == nil || !strings.Contains(err.Error(), "the tag "+tag+" is sha256:") {
			t.Errorf("a digest with a tag that moved: %v", err)
		}
	}
	// The right manifest in the repository of another filter is not that filter.
	copyManifest(t, p.address, "evil/headers", text, "acme/authtoken", text)
	checks := verified(oci.Reference{Repository: p.registry.Address() + "/authtoken", Tag: text})
	if err := attest.Failed(checks); err == nil || !strings.Contains(err.Error(), "is published as authtoken") {
		t.Errorf("another filter's repository: %v", err)
	}
}

// TestStorageAlone: a storage proves what it holds without a registry.
func TestStorageAlone(t *testing.T) {
	t.Parallel()
	upload := func(p *place, text string, filters ...build.Built) {
		t.Helper()
		opts := storage.UploadOptions{Version: version.MustParse(text)}
		for _, f := range filters {
			opts.Modules = append(opts.Modules, f.Module)
		}
		_, err := storage.Upload(t.Context(), p.storage, opts)
		check(t, err)
	}
	copyObject := func(p *place, from, to string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(p.stored, filepath.FromSlash(from)))
		check(t, err)
		path := filepath.Join(p.stored, filepath.FromSlash(to))
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, data, 0o600))
	}
	clear := func(p *place) {
		t.Helper()
		for _, name := range []string{"headers", text} {
			check(t, os.RemoveAll(filepath.Join(p.stored, name)))
		}
	}
	for name, c := range map[string]struct {
		tamper func(p *place)
		want   string
		detail string
	}{
		"as it was published": {func(*place) {}, "sum ok, signature ok", ""},
		"another module, its sums and its index": {func(p *place) {
			bundle := filepath.Join(p.stored, filepath.FromSlash(storage.BundleKey("headers", text)))
			signed, err := os.ReadFile(bundle)
			check(t, err)
			clear(p)
			upload(p, text, buildtest.Filter(t, "headers", "other"))
			check(t, os.WriteFile(bundle, signed, 0o600))
		}, "sum ok, signature wrong", "digest"},
		"the same, without a signature": {func(p *place) {
			clear(p)
			upload(p, text, buildtest.Filter(t, "headers", "other"))
		}, "sum ok, signature missing", "none is attached"},
		"an older version under a newer name": {func(p *place) {
			upload(p, "1.5.0", p.filter)
			copyObject(p, storage.BundleKey("headers", text), storage.BundleKey("headers", "1.5.0"))
		}, "sum ok, signature wrong", "it is of headers 1.4.0"},
		"another filter of the same key": {func(p *place) {
			clear(p)
			other := buildtest.Filter(t, "headers", "hello")
			other.Module.Name, other.Name = "authtoken", "authtoken"
			upload(p, text, p.filter, other)
			copyObject(p, storage.ModuleKey("headers", text), storage.BundleKey("headers", text))
		}, "sum ok, sum ok, signature wrong, signature missing", "it is no sigstore bundle"},
		"an index with another manifest": {func(p *place) {
			p.editIndex(t, "evil.example/headers@sha256:"+strings.Repeat("0", 64))
		}, "sum ok, signature wrong", "it is not about the manifest evil.example/headers@sha256:"},
		"an index with the manifest elsewhere": {func(p *place) {
			p.editIndex(t, "evil.example/headers@"+p.manifest(t).ManifestDigest)
		}, "sum ok, signature wrong", "it is not about the manifest evil.example/headers@sha256:"},
		"an index with the right manifest": {func(p *place) {
			p.editIndex(t, p.registry.Address()+"/headers@"+p.manifest(t).ManifestDigest)
		}, "sum ok, signature ok", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := publish(t)
			c.tamper(p)
			v := released
			if strings.Contains(name, "newer") {
				v = version.MustParse("1.5.0")
			}
			found, err := verify.Version(t.Context(), verify.Options{Filters: []string{"headers"}, Version: v, Storage: p.storage, Policy: p.policy})
			check(t, err)
			if got := describe(found.Checks); got != c.want {
				t.Errorf("%s, want %s\n%v", got, c.want, attest.Failed(found.Checks))
			}
			if err := attest.Failed(found.Checks); (err == nil) != (c.detail == "") || err != nil && !strings.Contains(err.Error(), c.detail) {
				t.Errorf("%v\nwant %q", err, c.detail)
			}
		})
	}
}

// editIndex names a manifest in the storage's index.
func (p *place) editIndex(t *testing.T, reference string) {
	t.Helper()
	opts := storage.UploadOptions{Version: released, Modules: []build.Module{p.filter.Module}, OCIReferences: map[string]string{"headers": reference}}
	_, err := storage.Upload(t.Context(), p.storage, opts)
	check(t, err)
}

// copyManifest copies a manifest with its blobs to another tag in a registry.
func copyManifest(t *testing.T, address, from, tag, to, as string) {
	t.Helper()
	check(t, crane.Copy(address+"/"+from+":"+tag, address+"/"+to+":"+as, crane.Insecure))
}

// TestMovedBack: a moving tag that points to an older version than it should is wrong.
func TestMovedBack(t *testing.T) {
	t.Parallel()
	p := publish(t)
	older := "1.3.0"
	old := ocitest.Push(t, p.address, older, nil, buildtest.Filter(t, "headers", "old"))
	found := func(opts verify.Options) []attest.Check {
		opts.Filters, opts.Registry = []string{"headers"}, old
		report, err := verify.Version(t.Context(), opts)
		check(t, err)
		return report.Checks
	}
	const signed = "manifest ok, signature unchecked, provenance unchecked, sbom unchecked, tested unchecked"
	if got := describe(found(verify.Options{Version: released})); got != signed+tagsOK {
		t.Errorf("before: %s", got)
	}
	// The older version's own ranges are those of both.
	if got := describe(found(verify.Options{Version: version.MustParse(older)})); got != "manifest ok, signature missing, provenance missing, sbom ok, tested missing"+tagsOK {
		t.Errorf("the older version: %s", got)
	}
	for _, tag := range []string{"1", "latest"} {
		copyManifest(t, p.address, "acme/headers", older, "acme/headers", tag)
	}
	checks := found(verify.Options{Version: released})
	if got := describe(checks); got != signed+", tag ok, tag wrong, tag wrong" {
		t.Errorf("after: %s", got)
	}
	if err := attest.Failed(checks); err == nil || !strings.Contains(err.Error(), `headers:latest: verification failed: the tag is wrong: it points to sha256:`) || !strings.Contains(err.Error(), `version "1.3.0", and the newest is 1.4.0`) {
		t.Errorf("after: %v", err)
	}
	if got := describe(found(verify.Options{Version: released, TagsHeld: true})); got != signed {
		t.Errorf("while the tags are held: %s", got)
	}
	latest, err := verify.Reference(t.Context(), verify.ReferenceOptions{Registry: old, Reference: oci.Reference{Repository: old.Address() + "/headers", Tag: "latest"}})
	check(t, err)
	if got := describe(latest.Checks); got != "manifest ok, signature missing, provenance missing, sbom ok, tested missing, tag wrong" {
		t.Errorf("latest: %s", got)
	}
}

// TestTampering changes one thing at a time, and verify names exactly that one.
func TestTampering(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tamper func(t *testing.T, p *place)
		want   string // the states of the parts
		detail string // text in the error
	}{
		"a layer": {
			func(t *testing.T, p *place) { p.editBlob(t, p.filter.Module.WasmSHA256) },
			"manifest wrong, sum ok, signature ok, provenance ok, sbom ok, tested ok", "read blob sha256:",
		},
		"the manifest": {
			// Somebody with push access points the tag to another module.
			func(t *testing.T, p *place) {
				other := start(t, t.TempDir())
				p.registry = ocitest.Push(t, other, text, nil, buildtest.Filter(t, "headers", "other"))
			},
			"manifest ok, sum wrong, signature missing, provenance missing, sbom missing, tested missing", "in the registry",
		},
		"the manifest, with the old signatures": {
			func(t *testing.T, p *place) {
				bundles := map[string][]byte{}
				for _, name := range []string{"signature", "provenance", "sbom", "test-result"} {
					bundles[name] = p.bundle(t, name+".sigstore.json")
				}
				p.registry = ocitest.Push(t, start(t, t.TempDir()), text, nil, buildtest.Filter(t, "headers", "other"))
				for name, content := range bundles {
					p.attach(t, name+".sigstore.json", content)
				}
			},
			"manifest ok, sum wrong, signature wrong, provenance wrong, sbom wrong, tested wrong", "digest",
		},
		"the sum file": {
			func(t *testing.T, p *place) {
				p.write(t, storage.SumKey("headers", text), strings.Repeat("0", 64)+"  headers.wasm\n")
			},
			"manifest ok, sum wrong, signature ok, provenance ok, sbom ok, tested ok", "headers.wasm",
		},
		"the module behind the URL": {
			func(t *testing.T, p *place) {
				p.write(t, storage.ModuleKey("headers", text), "\x00asm\x01\x00\x00\x00")
			},
			"manifest ok, sum wrong, signature ok, provenance ok, sbom ok, tested ok", "it serves other bytes",
		},
		"the manifest in the index": {
			func(t *testing.T, p *place) {
				p.editIndex(t, p.registry.Address()+"/headers@sha256:"+strings.Repeat("0", 64))
			},
			"manifest ok, sum wrong, signature ok, provenance ok, sbom ok, tested ok, signature wrong", "index.json names the manifest",
		},
		"a line for a filter that is not there": {
			func(t *testing.T, p *place) {
				sum := strings.Repeat("0", 64)
				p.write(t, storage.SumsKey(text), p.filter.Module.WasmSHA256+"  "+storage.ModuleKey("headers", text)+"\n"+sum+"  "+storage.ModuleKey("waf", text)+"\n")
			},
			"manifest ok, sum ok, sum missing, signature ok, provenance ok, sbom ok, tested ok", "waf/1.4.0/waf.wasm",
		},
		"no module behind the URL": {
			func(t *testing.T, p *place) {
				check(t, os.Remove(filepath.Join(p.stored, filepath.FromSlash(storage.ModuleKey("headers", text)))))
			},
			"manifest ok, sum missing, signature ok, provenance ok, sbom ok, tested ok", "404",
		},
		"the signature": {
			func(t *testing.T, p *place) {
				p.replace(t, "signature.sigstore.json", func(e map[string]any) {
					e["signatures"] = []any{map[string]any{"sig": "MEUCIQD0" + strings.Repeat("A", 88)}}
				})
			},
			"manifest ok, sum ok, signature wrong, provenance ok, sbom ok, tested ok", "signature",
		},
		"the provenance's subject": {
			func(t *testing.T, p *place) {
				p.edit(t, "provenance.sigstore.json", p.filter.Module.WasmSHA256, strings.Repeat("0", 64))
			},
			"manifest ok, sum ok, signature ok, provenance wrong, sbom ok, tested ok", "the provenance is wrong",
		},
		"the SBOM for scanners": {
			func(t *testing.T, p *place) {
				_, err := p.registry.Attach(t.Context(), p.manifest(t).ByDigest(), oci.Attachment{ArtifactType: oci.TypeSBOM, Name: "forged.cdx.json", Content: []byte(`{"components":[]}`)})
				check(t, err)
			},
			"manifest ok, sum ok, signature ok, provenance ok, sbom wrong, tested ok", "forged.cdx.json",
		},
		"the test result's module": {
			func(t *testing.T, p *place) {
				p.edit(t, "test-result.sigstore.json", p.filter.Module.WasmSHA256, strings.Repeat("0", 64))
			},
			untested, "the test result is wrong",
		},
		"the test result's manifest": {
			func(t *testing.T, p *place) {
				_, digest, _ := strings.Cut(p.manifest(t).ManifestDigest, ":")
				p.edit(t, "test-result.sigstore.json", digest, strings.Repeat("0", 64))
			},
			untested, "the test result is wrong",
		},
		"a scenario less": {
			func(t *testing.T, p *place) {
				p.edit(t, "test-result.sigstore.json", `"removes a header in Envoy 1.40.0",`, "")
			},
			untested, "the test result is wrong",
		},
		"a result without a signature": {
			func(t *testing.T, p *place) {
				p.replace(t, "test-result.sigstore.json", func(e map[string]any) { e["signatures"] = []any{} })
			},
			untested, "the test result is wrong",
		},
		"a result by another signer": {
			func(t *testing.T, p *place) {
				other := *p
				other.address = start(t, t.TempDir())
				other.registry = ocitest.Push(t, other.address, text, nil, p.filter)
				_, err := attest.Sign(t.Context(), other.signOptions(t))
				check(t, err)
				p.remove(t, "test-result.sigstore.json")
				p.attach(t, "test-result.sigstore.json", other.bundle(t, "test-result.sigstore.json"))
			},
			untested, "the test result is wrong",
		},
		"an old result": {
			// The same key signed it, for the version before.
			func(t *testing.T, p *place) {
				p.policy.Key = "../targets/testdata/cosign.pub"
				old := *p
				old.filter = buildtest.Filter(t, "headers", "old")
				for version, place := range map[string]*place{"1.3.0": &old, text: p} {
					place.registry = ocitest.Push(t, p.address, version, nil, place.filter)
					opts := place.signOptions(t)
					opts.Release = buildtest.Release(version, place.filter)
					opts.Signer = attest.Signer{Key: "../targets/testdata/cosign.key"}
					if place == p {
						opts.Played = nil
						p.remove(t, "test-result.sigstore.json")
					}
					_, err := attest.Sign(t.Context(), opts)
					check(t, err)
				}
				opts := p.signOptions(t)
				opts.Signer, opts.Played = attest.Signer{Key: "../targets/testdata/cosign.key"}, nil
				_, err := stored.Sign(t.Context(), p.storage, opts)
				check(t, err)
				attached, err := p.registry.Attached(t.Context(), oci.Reference{Repository: p.address + "/acme/headers", Tag: "1.3.0"}, attest.BundleMediaType)
				check(t, err)
				for _, a := range attached {
					if a.Name == "test-result.sigstore.json" {
						p.attach(t, a.Name, a.Content)
					}
				}
			},
			untested, "the test result is wrong",
		},
		"another signer": {
			func(t *testing.T, p *place) {
				p.registry = ocitest.Push(t, start(t, t.TempDir()), text, nil, p.filter)
				_, err := attest.Sign(t.Context(), p.signOptions(t))
				check(t, err)
			},
			"manifest ok, sum ok, signature wrong, provenance wrong, sbom wrong, tested wrong", "signature",
		},
		"what is not a bundle": {
			// Somebody with push access can add junk, but the signatures stay valid.
			func(t *testing.T, p *place) { p.attach(t, "junk.json", []byte("junk")) },
			allOK, "",
		},
		"everything": {
			func(t *testing.T, p *place) {
				r, err := oci.Open(oci.RegistryOptions{Address: p.address + "/elsewhere", Anonymous: true})
				check(t, err)
				p.registry = r
			},
			"manifest missing, sum ok", "not found",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := publish(t)
			c.tamper(t, p)
			checks := p.verify(t)
			if got := states(checks); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			err := attest.Failed(checks)
			if c.want == allOK {
				check(t, err)
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.detail) {
				t.Errorf("%v\nwant %q", err, c.detail)
			}
		})
	}
}

// throughFaults makes the release be read through proxies with a fault.
func (p *place) throughFaults(t *testing.T, registry, stored []faultproxytest.Rule) {
	t.Helper()
	public, err := url.Parse(p.storage.PublicURL(""))
	check(t, err)
	p.openAt(t, faultproxytest.Start(t, p.address, registry...).Addr, "http://"+faultproxytest.Start(t, public.Host, stored...).Addr, 0)
}

// openAt makes the release be read at other addresses, with short waits. A connection
// may make no progress for as long as stall says.
func (p *place) openAt(t *testing.T, registry, public string, stall time.Duration) {
	t.Helper()
	policy := retry.Policy{Tries: 2, Delay: time.Millisecond}
	r, err := oci.Open(oci.RegistryOptions{Address: registry + "/acme", Anonymous: true, Stall: stall, Retry: policy})
	check(t, err)
	s, err := storage.OpenPublic(public, storage.Options{Stall: stall, Retry: policy})
	check(t, err)
	p.registry, p.storage = r, s
}

// TestUnknown: a part that could not be examined is neither missing nor wrong, and does
// not pass.
func TestUnknown(t *testing.T) {
	t.Parallel()
	const (
		signatures = ", signature ok, provenance ok, sbom ok, tested ok"
		nothing    = "manifest unknown, sum unknown"
	)
	rules := func(rule faultproxytest.Rule) []faultproxytest.Rule { return []faultproxytest.Rule{rule} }
	status := func(code int) []faultproxytest.Rule {
		return rules(faultproxytest.Rule{Fault: faultproxytest.Status(code)})
	}
	for name, c := range map[string]struct {
		place  func(t *testing.T, p *place)
		want   string
		detail string
	}{
		"405":  {func(t *testing.T, p *place) { p.throughFaults(t, status(405), status(405)) }, nothing, "405 Method Not Allowed"},
		"401":  {func(t *testing.T, p *place) { p.throughFaults(t, status(401), status(401)) }, nothing, "401 Unauthorized"},
		"403":  {func(t *testing.T, p *place) { p.throughFaults(t, status(403), status(403)) }, nothing, "403 Forbidden"},
		"503":  {func(t *testing.T, p *place) { p.throughFaults(t, status(503), status(503)) }, nothing, "503 Service Unavailable"},
		"host": {func(t *testing.T, p *place) { p.openAt(t, "registry.invalid", "https://storage.invalid", 0) }, nothing, "no such host"},
		"port": {func(t *testing.T, p *place) { p.openAt(t, "127.0.0.1:1", "http://127.0.0.1:1", 0) }, nothing, "connection refused"},
		"hang": {func(t *testing.T, p *place) {
			public, err := url.Parse(p.storage.PublicURL(""))
			check(t, err)
			hang := faultproxytest.Rule{Match: "^GET ", Fault: faultproxytest.Hang}
			p.openAt(t, faultproxytest.Start(t, p.address, hang).Addr, "http://"+faultproxytest.Start(t, public.Host, hang).Addr, time.Second)
		}, nothing, "stalled"},
		"half": {func(t *testing.T, p *place) {
			half := rules(faultproxytest.Rule{Match: "^GET ", Fault: faultproxytest.Truncate})
			p.throughFaults(t, half, half)
		}, nothing, ": EOF"},
		"no blob may be read": {func(t *testing.T, p *place) {
			p.throughFaults(t, rules(faultproxytest.Rule{Match: "/blobs/", Fault: faultproxytest.Status(403)}), nil)
		}, "manifest unknown, sum ok", "403 Forbidden"},
		"no referrer may be listed": {func(t *testing.T, p *place) {
			p.throughFaults(t, rules(faultproxytest.Rule{Match: "/referrers/", Fault: faultproxytest.Status(403)}), nil)
		}, "manifest ok, sum ok, signature unknown, provenance unknown, sbom unknown, tested unknown, record unknown", "403 Forbidden"},
		"no bundle may be read": {func(t *testing.T, p *place) {
			sum := sha256.Sum256(p.bundle(t, "provenance.sigstore.json"))
			p.throughFaults(t, rules(faultproxytest.Rule{Match: "/blobs/sha256:" + hex.EncodeToString(sum[:]), Fault: faultproxytest.Status(403)}), nil)
		}, "manifest ok, sum ok, signature unknown, provenance unknown, sbom unknown, tested unknown, record unknown", "403 Forbidden"},
		"no key": {func(_ *testing.T, p *place) { p.policy.Key += ".gone" },
			"manifest ok, sum ok, signature unknown, provenance unknown, sbom unknown, tested unknown, record unknown, signature unknown, record unknown", "there is no file of that name"},
		"no module": {func(t *testing.T, p *place) {
			p.throughFaults(t, nil, rules(faultproxytest.Rule{Match: "[.]wasm$", Fault: faultproxytest.Status(403)}))
		}, "manifest ok, sum unknown" + signatures, "proxies send no credentials"},
		"no sums": {func(t *testing.T, p *place) {
			p.throughFaults(t, nil, rules(faultproxytest.Rule{Match: "SHA256SUMS$", Fault: faultproxytest.Status(405)}))
		}, "manifest ok, sum unknown" + signatures, "SHA256SUMS"},
		"no index": {func(t *testing.T, p *place) {
			p.throughFaults(t, nil, rules(faultproxytest.Rule{Match: "index.json$", Fault: faultproxytest.Status(401)}))
		}, "manifest ok, sum unknown" + signatures, "index.json"},
		"a later form of the index": {func(t *testing.T, p *place) {
			p.write(t, storage.IndexKey("headers"), `{"indexVersion": 2, "new": true}`)
		}, "manifest ok, sum unknown" + signatures, "it has form 2, and this Slipway knows 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := publish(t)
			c.place(t, p)
			checks := p.verify(t)
			if got := states(checks); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			if err := attest.Failed(checks); err == nil || !strings.Contains(err.Error(), " is unknown: ") || !strings.Contains(err.Error(), c.detail) {
				t.Errorf("%v\nwant %q", err, c.detail)
			}
		})
	}
}

// expired is a context whose deadline passes when the test says so, so that the speed
// of the machine does not matter.
type expired struct {
	context.Context
	done chan struct{}
}

func (e expired) Done() <-chan struct{} { return e.done }

func (e expired) Err() error {
	select {
	case <-e.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestUnknownAtDeadline: parts that were not read before the deadline are unknown, and
// earlier results stay.
func TestUnknownAtDeadline(t *testing.T) {
	t.Parallel()
	p := publish(t)
	over := expired{t.Context(), make(chan struct{})}
	p.throughFaults(t, nil, []faultproxytest.Rule{{Match: "[.]wasm$", Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		close(over.done)
		faultproxytest.Hang(w, r, next)
	}}})
	found, err := verify.Version(over, verify.Options{Filters: []string{"headers"}, Version: released, Registry: p.registry, Storage: p.storage, Policy: p.policy})
	check(t, err)
	if got := describe(found.Checks); got != "manifest ok, sum unknown, signature unknown, provenance unknown, sbom unknown, tested unknown, record unknown, tag unknown" || attest.Failed(found.Checks) == nil {
		t.Errorf("%s: %v", got, attest.Failed(found.Checks))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Version(ctx, verify.Options{Filters: []string{"headers"}, Version: released, Registry: p.registry, Storage: p.storage}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// TestUnknownWithoutRoom: a full disk says nothing about the module.
func TestUnknownWithoutRoom(t *testing.T) {
	p := publish(t)
	p.policy = attest.Policy{}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "gone"))
	checks := p.verify(t)
	if got := states(checks); got != "manifest unknown, sum ok, signature unchecked" {
		t.Errorf("%s: %v", got, attest.Failed(checks))
	}
}

// TestRedirect: the module is right, and the report says which consumers cannot fetch
// it.
func TestRedirect(t *testing.T) {
	t.Parallel()
	p := publish(t)
	direct := p.storage
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, direct.PublicURL(strings.TrimPrefix(r.URL.Path, "/")), http.StatusFound)
	}))
	t.Cleanup(moved.Close)
	s, err := storage.OpenPublic(moved.URL, storage.Options{})
	check(t, err)
	p.storage = s
	checks := p.verify(t)
	if got := states(checks); got != allOK || attest.Failed(checks) != nil {
		t.Errorf("%s: %v", got, attest.Failed(checks))
	}
	want := p.filter.Module.WasmSHA256 + "; the URL redirects to " + direct.PublicURL(storage.ModuleKey("headers", text)) + ": Istio and Envoy Gateway follow it, plain Envoy does not"
	if checks[1].Detail != want {
		t.Errorf("%s\nwant %s", checks[1].Detail, want)
	}
}
