package verify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/attest/attesttest"
	"github.com/slipway-wasm/slipway/deploy/build"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/verify"
)

const version = "1.4.0"

// place is a signed release of one filter, in folders that a test can tamper with.
type place struct {
	filter   attest.Filter
	address  string
	dir      string // the registry's folder
	registry *oci.Registry
	stored   string // the storage's folder
	storage  *storage.Storage
	policy   attest.Policy
}

// publish publishes a filter and signs it.
func publish(t *testing.T) *place {
	t.Helper()
	p := &place{filter: attesttest.Filter(t, "headers", "hello"), dir: t.TempDir(), stored: t.TempDir()}
	p.address = start(t, p.dir)
	p.registry = attesttest.Push(t, p.address, version, nil, p.filter)
	s, err := storage.Open(storage.Options{Dir: p.stored})
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	p.storage = s
	_, err = storage.Upload(t.Context(), s, storage.UploadOptions{Version: version, Modules: []build.Module{p.filter.Module}})
	check(t, err)
	signed, err := attest.Sign(t.Context(), p.signOptions(t))
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
		Filters:  []attest.Filter{p.filter},
		Release:  attesttest.Release(version),
		Builder:  attest.Builder{ID: attest.LocalBuilder},
		Signer:   attest.Signer{Rehearsal: true},
	}
}

func (p *place) verify(t *testing.T) []attest.Check {
	t.Helper()
	found, err := verify.Version(t.Context(), verify.Options{
		Filters: []string{"headers"}, Version: version, Registry: p.registry, Storage: p.storage, Policy: p.policy,
	})
	check(t, err)
	return found.Checks
}

func (p *place) manifest(t *testing.T) oci.Manifest {
	t.Helper()
	all, err := oci.Manifests(t.Context(), p.registry, "headers", version)
	check(t, err)
	return all[0]
}

// bundle returns the content of what is attached under a name.
func (p *place) bundle(t *testing.T, name string) []byte {
	t.Helper()
	all, err := oci.Attached(t.Context(), p.registry, p.manifest(t).ByDigest(), attest.BundleMediaType)
	check(t, err)
	i := slices.IndexFunc(all, func(a oci.Attachment) bool { return a.Name == name })
	if i < 0 {
		t.Fatalf("%s is not attached", name)
	}
	return all[i].Content
}

// attach attaches content as a bundle, whatever it is.
func (p *place) attach(t *testing.T, name string, content []byte) {
	t.Helper()
	_, err := oci.Attach(t.Context(), p.registry, p.manifest(t).ByDigest(), oci.Attachment{ArtifactType: attest.BundleMediaType, Name: name, Content: content})
	check(t, err)
}

// replace deletes a bundle and attaches it anew with another envelope.
func (p *place) replace(t *testing.T, name string, change func(envelope map[string]any)) {
	t.Helper()
	var bundle map[string]any
	check(t, json.Unmarshal(p.bundle(t, name), &bundle))
	nodes, err := oci.Discover(t.Context(), p.registry, p.manifest(t).ByDigest())
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
	change(bundle["dsseEnvelope"].(map[string]any))
	content, err := json.Marshal(bundle)
	check(t, err)
	p.attach(t, name, content)
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

// describe is what was found, a word for each part: "manifest ok, sum ok, …".
func describe(checks []attest.Check) string {
	var all []string
	for _, c := range checks {
		all = append(all, fmt.Sprintf("%s %s", c.What, c.State))
	}
	return strings.Join(all, ", ")
}

const allOK = "manifest ok, sum ok, signature ok, provenance ok, sbom ok"

func TestVersion(t *testing.T) {
	t.Parallel()
	p := publish(t)
	checks := p.verify(t)
	if got := describe(checks); got != allOK || attest.Failed(checks) != nil {
		t.Errorf("%s: %v", got, attest.Failed(checks))
	}
	var text bytes.Buffer
	check(t, attest.WriteChecks(&text, checks))
	if !strings.Contains(text.String(), p.manifest(t).ManifestDigest) || !strings.Contains(text.String(), p.policy.Key) {
		t.Errorf("the table does not say what was accepted:\n%s", text.String())
	}

	p.policy = attest.Policy{}
	checks = p.verify(t)
	if got := describe(checks); got != "manifest ok, sum ok, signature unchecked, provenance unchecked, sbom unchecked" {
		t.Errorf("without a policy: %s", got)
	}
	if err := attest.Failed(checks); err == nil || !strings.Contains(err.Error(), "VERIFY_KEY") {
		t.Errorf("without a policy: %v", err)
	}
}

// TestUnsigned: a release that nobody signed passes where nobody asks for
// signatures, and fails where somebody does.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	p := publish(t)
	key := p.policy
	p.policy = attest.Policy{}
	p.registry = attesttest.Push(t, start(t, t.TempDir()), version, nil, p.filter)
	checks := p.verify(t)
	if got := describe(checks); got != "manifest ok, sum ok, signature missing, provenance missing, sbom ok" || attest.Failed(checks) != nil {
		t.Errorf("%s: %v", got, attest.Failed(checks))
	}
	p.policy = key
	checks = p.verify(t)
	if got := describe(checks); got != "manifest ok, sum ok, signature missing, provenance missing, sbom missing" || attest.Failed(checks) == nil {
		t.Errorf("with a policy: %s", got)
	}
}

// TestTampering changes one thing at a time, and verify names that one.
func TestTampering(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tamper func(t *testing.T, p *place)
		want   string // the state of the parts
		detail string // in the error
	}{
		"a layer": {
			func(t *testing.T, p *place) { p.editBlob(t, p.filter.Module.WasmSHA256) },
			"manifest wrong, sum ok, signature ok, provenance ok, sbom ok", "read blob sha256:",
		},
		"the manifest": {
			// As somebody does who may push: the tag leads to another module.
			func(t *testing.T, p *place) {
				other := start(t, t.TempDir())
				p.registry = attesttest.Push(t, other, version, nil, attesttest.Filter(t, "headers", "other"))
			},
			"manifest ok, sum wrong, signature missing, provenance missing, sbom missing", "in the registry",
		},
		"the manifest, with the old signatures": {
			func(t *testing.T, p *place) {
				bundles := map[string][]byte{}
				for _, name := range []string{"signature", "provenance", "sbom"} {
					bundles[name] = p.bundle(t, name+".sigstore.json")
				}
				p.registry = attesttest.Push(t, start(t, t.TempDir()), version, nil, attesttest.Filter(t, "headers", "other"))
				for name, content := range bundles {
					p.attach(t, name+".sigstore.json", content)
				}
			},
			"manifest ok, sum wrong, signature wrong, provenance wrong, sbom wrong", "digest",
		},
		"the sum file": {
			func(t *testing.T, p *place) {
				p.write(t, storage.SumKey("headers", version), strings.Repeat("0", 64)+"  headers.wasm\n")
			},
			"manifest ok, sum wrong, signature ok, provenance ok, sbom ok", "headers.wasm",
		},
		"the module behind the URL": {
			func(t *testing.T, p *place) {
				p.write(t, storage.ModuleKey("headers", version), "\x00asm\x01\x00\x00\x00")
			},
			"manifest ok, sum wrong, signature ok, provenance ok, sbom ok", "it serves other bytes",
		},
		"no module behind the URL": {
			func(t *testing.T, p *place) {
				check(t, os.Remove(filepath.Join(p.stored, filepath.FromSlash(storage.ModuleKey("headers", version)))))
			},
			"manifest ok, sum missing, signature ok, provenance ok, sbom ok", "404",
		},
		"the signature": {
			func(t *testing.T, p *place) {
				p.replace(t, "signature.sigstore.json", func(e map[string]any) {
					e["signatures"] = []any{map[string]any{"sig": "MEUCIQD0" + strings.Repeat("A", 88)}}
				})
			},
			"manifest ok, sum ok, signature wrong, provenance ok, sbom ok", "signature",
		},
		"the provenance's subject": {
			func(t *testing.T, p *place) {
				p.replace(t, "provenance.sigstore.json", func(e map[string]any) {
					var payload []byte
					content, err := json.Marshal(e["payload"])
					check(t, err)
					check(t, json.Unmarshal(content, &payload))
					e["payload"] = bytes.Replace(payload, []byte(p.filter.Module.WasmSHA256), []byte(strings.Repeat("0", 64)), 1)
				})
			},
			"manifest ok, sum ok, signature ok, provenance wrong, sbom ok", "the provenance is wrong",
		},
		"the SBOM for scanners": {
			func(t *testing.T, p *place) {
				_, err := oci.Attach(t.Context(), p.registry, p.manifest(t).ByDigest(), oci.Attachment{ArtifactType: oci.TypeSBOM, Name: "forged.cdx.json", Content: []byte(`{"components":[]}`)})
				check(t, err)
			},
			"manifest ok, sum ok, signature ok, provenance ok, sbom wrong", "forged.cdx.json",
		},
		"another signer": {
			func(t *testing.T, p *place) {
				p.registry = attesttest.Push(t, start(t, t.TempDir()), version, nil, p.filter)
				_, err := attest.Sign(t.Context(), p.signOptions(t))
				check(t, err)
			},
			"manifest ok, sum ok, signature wrong, provenance wrong, sbom wrong", "signature",
		},
		"what is not a bundle": {
			// Somebody who may push can add junk, which takes nothing away.
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
			if got := describe(checks); got != c.want {
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
