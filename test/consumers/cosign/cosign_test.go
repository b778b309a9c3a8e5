package cosign

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	result "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/attest/sigstore/virtual"
	"github.com/slipway-wasm/slipway/deploy/attest/stored"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/buildtest"
	embedded "github.com/slipway-wasm/slipway/deploy/embedded/registry"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/oci/distributiontest"
	"github.com/slipway-wasm/slipway/deploy/oci/ocitest"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

const password = "correct-horse-battery-staple"

// TestMain gives the password as users do: in the environment, where the program
// that signs and cosign read it.
func TestMain(m *testing.M) {
	if err := os.Setenv("COSIGN_PASSWORD", password); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// binary builds cosign. That takes minutes if Go's build cache is empty.
var binary = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "cosign").Output()
	return strings.TrimSpace(string(out)), err
})

// cosign runs cosign and returns what it printed.
func cosign(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("build cosign: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = t.TempDir()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Logf("cosign %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), err
}

// newKeys makes a key pair with cosign and returns its two files.
func newKeys(t *testing.T) (private, public string) {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "cosign")
	if _, err := cosign(t, "generate-key-pair", "--output-key-prefix="+prefix); err != nil {
		t.Fatal(err)
	}
	return prefix + ".key", prefix + ".pub"
}

// registries are real registries that keep referrers in different ways.
func registries(t *testing.T, test func(t *testing.T, address string)) {
	for name, start := range map[string]func(t *testing.T) string{
		"distribution, without the referrers API": func(t *testing.T) string { return distributiontest.Start(t, distributiontest.Options{}) },
		"go-containerregistry, with it":           startEmbedded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

func startEmbedded(t *testing.T) string {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server.Addr()
}

// publish pushes a filter and signs it with a key.
func publish(t *testing.T, address, key string, filter build.Built) *oci.Registry {
	t.Helper()
	r := ocitest.Push(t, address, "1.4.0", oci.Shapes, filter)
	signed, err := attest.Sign(t.Context(), options(r, key, filter))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range signed.Attached {
		if a.Unchanged {
			t.Errorf("nobody signed before: %s", a)
		}
	}
	return r
}

func options(r *oci.Registry, key string, filter build.Built) attest.SignOptions {
	return attest.SignOptions{
		Registry: r,
		Release:  buildtest.Release("1.4.0", filter),
		Builder:  attest.Builder{ID: attest.LocalBuilder},
		Signer:   attest.Signer{Key: key},
		Played:   buildtest.Played(filter),
	}
}

// TestCosignAccepts runs the commands of deploy/README.md on what Slipway signed with a
// key of cosign's.
func TestCosignAccepts(t *testing.T) {
	t.Parallel()
	private, public := newKeys(t)
	_, other := newKeys(t)
	registries(t, func(t *testing.T, address string) {
		filter := buildtest.Filter(t, "headers", "hello")
		r := publish(t, address, private, filter)
		manifests, err := r.Subjects(t.Context(), "headers", version.MustParse("1.4.0"))
		if err != nil || len(manifests) != len(oci.Shapes) {
			t.Fatalf("%d manifests, error %v", len(manifests), err)
		}
		for _, m := range manifests {
			ref := m.Reference.String()
			out, err := cosign(t, "verify", "--insecure-ignore-tlog", "--key="+public, ref)
			if err != nil || !strings.Contains(out, m.ManifestDigest) || !strings.Contains(out, attest.PredicateSignature) {
				t.Errorf("cosign verify %s: %v\n%s", ref, err, out)
			}
			if out, err := cosign(t, "verify", "--insecure-ignore-tlog", "--key="+other, ref); err == nil {
				t.Errorf("cosign accepts %s with another key:\n%s", ref, out)
			}
			for kind, predicate := range map[string]string{"slsaprovenance1": attest.PredicateProvenance, "cyclonedx": attest.PredicateSBOM, "https://in-toto.io/attestation/test-result/v0.1": attest.PredicateTestResult} {
				out, err := cosign(t, "verify-attestation", "--insecure-ignore-tlog", "--key="+public, "--type="+kind, ref)
				if err != nil {
					t.Errorf("cosign verify-attestation --type=%s %s: %v", kind, ref, err)
					continue
				}
				checkStatement(t, out, predicate, m.ManifestDigest, filter.Module.WasmSHA256)
			}
		}
	})
}

// TestCosignAcceptsTheStorage: the bundle beside a module is all that cosign needs, without any
// registry.
func TestCosignAcceptsTheStorage(t *testing.T) {
	t.Parallel()
	private, public := newKeys(t)
	_, other := newKeys(t)
	dir := t.TempDir()
	s, err := storage.Open(storage.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	filter := buildtest.Filter(t, "headers", "hello")
	if _, err := storage.Upload(t.Context(), s, storage.UploadOptions{Version: version.MustParse("1.4.0"), Modules: []build.Module{filter.Module}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stored.Sign(t.Context(), s, options(nil, private, filter)); err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(dir, filepath.FromSlash(storage.BundleKey("headers", "1.4.0")))
	module := filepath.Join(dir, filepath.FromSlash(storage.ModuleKey("headers", "1.4.0")))
	verify := func(key, module string) error {
		_, err := cosign(t, "verify-blob", "--insecure-ignore-tlog", "--key="+key, "--bundle="+bundle, module)
		return err
	}
	if err := verify(public, module); err != nil {
		t.Errorf("cosign verify-blob: %v", err)
	}
	if verify(other, module) == nil {
		t.Error("cosign accepts it with another key")
	}
	if verify(public, buildtest.Filter(t, "headers", "other").Module.Path) == nil {
		t.Error("cosign accepts another module")
	}
	// Signed again, it stays as it is.
	signed, err := stored.Sign(t.Context(), s, options(nil, private, filter))
	if err != nil || len(signed.Bundles) > 0 || len(signed.Attached) != 1 || !signed.Attached[0].Unchanged {
		t.Errorf("signed again: %+v, %v", signed, err)
	}
}

// checkStatement reads what cosign prints: the envelope that it verified.
func checkStatement(t *testing.T, envelope, predicateType, manifestDigest, wasmSHA256 string) {
	t.Helper()
	var e struct{ Payload []byte }
	var s attest.Statement
	if err := json.Unmarshal([]byte(envelope), &e); err != nil {
		t.Fatalf("%v in\n%s", err, envelope)
	}
	if err := json.Unmarshal(e.Payload, &s); err != nil {
		t.Fatal(err)
	}
	var sums []string
	for _, subject := range s.Subject {
		sums = append(sums, "sha256:"+subject.Digest["sha256"])
	}
	validate(t, e.Payload)
	if want := []string{manifestDigest, "sha256:" + wasmSHA256}; s.PredicateType != predicateType || !slices.Equal(sums, want) {
		t.Errorf("statement %s about %v, want %s about %v", s.PredicateType, sums, predicateType, want)
	}
}

// validate asks in-toto's own library whether a statement has the form that its
// specification asks for.
func validate(t *testing.T, payload []byte) {
	t.Helper()
	var statement intoto.Statement
	if err := protojson.Unmarshal(payload, &statement); err != nil {
		t.Fatal(err)
	}
	if err := statement.Validate(); err != nil {
		t.Error(err)
	}
	data, err := protojson.Marshal(statement.GetPredicate())
	if err != nil {
		t.Fatal(err)
	}
	if statement.GetPredicateType() == attest.PredicateTestResult {
		var predicate result.TestResult
		if err := protojson.Unmarshal(data, &predicate); err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
		if predicate.GetResult() != "PASSED" || len(predicate.GetPassedTests()) != 4 || predicate.GetConfiguration()[0].GetDigest()["gitCommit"] != buildtest.Release("1.4.0").Revision {
			t.Errorf("the test result is %s", data)
		}
	}
	if statement.GetPredicateType() != attest.PredicateProvenance {
		return
	}
	// Strictly: a field that SLSA does not know is an error.
	var predicate provenance.Provenance
	if err := protojson.Unmarshal(data, &predicate); err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	if err := predicate.Validate(); err != nil {
		t.Error(err)
	}
	named := map[string]string{}
	for _, dependency := range predicate.GetBuildDefinition().GetResolvedDependencies() {
		for algorithm, digest := range dependency.GetDigest() {
			named[algorithm] = digest
		}
		if strings.HasPrefix(dependency.GetUri(), "pkg:golang/github.com/tetratelabs/") {
			named["sdk"] = dependency.GetUri()
		}
	}
	if named["gitCommit"] != buildtest.Release("1.4.0").Revision || named["sdk"] == "" {
		t.Errorf("it does not name what was built from what: %v", named)
	}
}

// TestCosignAcceptsKeyless runs its other commands on what a job of GitHub
// Actions signs, with a virtual sigstore in the place of the public one.
func TestCosignAcceptsKeyless(t *testing.T) {
	v := virtual.Start(t)
	filter := buildtest.Filter(t, "headers", "hello")
	for name, address := range map[string]string{
		"distribution, without the referrers API": distributiontest.Start(t, distributiontest.Options{}),
		"go-containerregistry, with it":           startEmbedded(t),
	} {
		r := ocitest.Push(t, address, "1.4.0", nil, filter)
		opts := options(r, "", filter)
		opts.Signer = v.Signer
		if _, err := attest.Sign(t.Context(), opts); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		accepts := func(command, identity, repository string, more ...string) bool {
			args := append([]string{
				command, "--trusted-root=" + v.TrustedRoot, "--certificate-identity=" + identity,
				"--certificate-oidc-issuer=" + virtual.Issuer, "--certificate-github-workflow-repository=" + repository,
				"--insecure-ignore-sct", // the virtual sigstore has no log of certificates
			}, more...)
			_, err := cosign(t, append(args, address+"/acme/headers:1.4.0")...)
			return err == nil
		}
		if !accepts("verify", virtual.Identity, "acme/filters") {
			t.Errorf("%s: cosign refuses what a job signed", name)
		}
		if !accepts("verify-attestation", virtual.Identity, "acme/filters", "--type=slsaprovenance1") {
			t.Errorf("%s: cosign refuses its provenance", name)
		}
		if accepts("verify", virtual.Identity+"x", "acme/filters") || accepts("verify", virtual.Identity, "evil/filters") {
			t.Errorf("%s: cosign accepts another identity or repository", name)
		}
		policy := attest.Policy{Identity: virtual.Identity, Issuer: virtual.Issuer, Repository: virtual.Repository, TrustedRoot: v.TrustedRoot}
		checks, err := attest.Verify(t.Context(), attest.VerifyOptions{Registry: r, Filters: []string{"headers"}, Version: version.MustParse("1.4.0"), Policy: policy})
		if err != nil || attest.Failed(checks) != nil {
			t.Errorf("%s: %v, %v", name, err, attest.Failed(checks))
		}
	}
}

// TestFileByProvenance checks a module that was fetched by URL with the provenance
// from the registry.
func TestFileByProvenance(t *testing.T) {
	t.Parallel()
	private, public := newKeys(t)
	filter := buildtest.Filter(t, "headers", "hello")
	r := publish(t, startEmbedded(t), private, filter)
	manifests, err := r.Subjects(t.Context(), "headers", version.MustParse("1.4.0"))
	if err != nil {
		t.Fatal(err)
	}
	attached, err := r.Attached(t.Context(), manifests[0].ByDigest(), attest.BundleMediaType)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(attached, func(a oci.Attachment) bool { return a.Name == "provenance.sigstore.json" })
	if i < 0 {
		t.Fatalf("no provenance among %d bundles", len(attached))
	}
	bundle := filepath.Join(t.TempDir(), "provenance.sigstore.json")
	if err := os.WriteFile(bundle, attached[i].Content, 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(file string) error {
		_, err := cosign(t, "verify-blob-attestation", "--insecure-ignore-tlog", "--key="+public, "--type=slsaprovenance1", "--bundle="+bundle, file)
		return err
	}
	if err := verify(filter.Module.Path); err != nil {
		t.Error(err)
	}
	if verify(buildtest.Filter(t, "headers", "other").Module.Path) == nil {
		t.Error("cosign accepts another module")
	}
}

// TestSlipwayAccepts signs with cosign and verifies with Slipway. Slipway finds what
// cosign finds.
func TestSlipwayAccepts(t *testing.T) {
	t.Parallel()
	private, public := newKeys(t)
	_, other := newKeys(t)
	registries(t, func(t *testing.T, address string) {
		r := ocitest.Push(t, address, "1.4.0", nil, buildtest.Filter(t, "headers", "hello"))
		config := filepath.Join(t.TempDir(), "signing-config.json")
		if _, err := cosign(t, "signing-config", "create", "--out="+config); err != nil {
			t.Fatal(err)
		}
		if _, err := cosign(t, "sign", "--yes", "--key="+private, "--signing-config="+config, address+"/acme/headers:1.4.0"); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]attest.State{public: attest.OK, other: attest.Wrong} {
			checks, err := attest.Verify(t.Context(), attest.VerifyOptions{Registry: r, Filters: []string{"headers"}, Version: version.MustParse("1.4.0"), Policy: attest.Policy{Key: key}})
			if err != nil {
				t.Fatal(err)
			}
			if states := states(checks); states["signature"] != want || states["provenance"] != attest.Missing || states["sbom"] != attest.Missing {
				t.Errorf("with %s: %+v", key, checks)
			}
		}
	})
}

func states(checks []attest.Check) map[string]attest.State {
	all := map[string]attest.State{}
	for _, c := range checks {
		all[c.What] = c.State
	}
	return all
}

// TestFailedResult: a failure that somebody signed is named, and so is a success that was
// made of it without a signature.
func TestFailedResult(t *testing.T) {
	t.Parallel()
	private, public := newKeys(t)
	filter := buildtest.Filter(t, "headers", "hello")
	bundleOf := func(r *oci.Registry) map[string]any {
		t.Helper()
		attached, err := r.Attached(t.Context(), oci.Reference{Repository: r.Address() + "/headers", Tag: "1.4.0"}, attest.BundleMediaType)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(attached, func(a oci.Attachment) bool { return a.Name == "test-result.sigstore.json" })
		if i < 0 {
			t.Fatalf("no test result among %d bundles", len(attached))
		}
		return read(t, attached[i].Content)
	}
	payload, err := base64.StdEncoding.DecodeString(bundleOf(publish(t, startEmbedded(t), private, filter))["dsseEnvelope"].(map[string]any)["payload"].(string))
	if err != nil {
		t.Fatal(err)
	}
	const name = "sets a header in Envoy 1.40.0"
	failed := strings.NewReplacer(`"PASSED"`, `"FAILED"`, `"`+name+`"`, `"other in Envoy 1.40.0"`, `"failedTests":[]`, `"failedTests":["`+name+`"]`).Replace(string(payload))
	dir := t.TempDir()
	statement, bundle, config := filepath.Join(dir, "statement.json"), filepath.Join(dir, "bundle.json"), filepath.Join(dir, "signing-config.json")
	if err := os.WriteFile(statement, []byte(failed), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cosign(t, "signing-config", "create", "--out="+config); err != nil {
		t.Fatal(err)
	}
	if _, err := cosign(t, "attest-blob", "--yes", "--key="+private, "--signing-config="+config, "--statement="+statement, "--bundle="+bundle); err != nil {
		t.Fatal(err)
	}
	signed, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	forged := read(t, signed)
	forged["dsseEnvelope"].(map[string]any)["payload"] = payload
	asPassed, err := json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	for want, content := range map[string][]byte{`it says that "` + name + `" failed`: signed, "signature": asPassed} {
		r := ocitest.Push(t, startEmbedded(t), "1.4.0", nil, filter)
		if _, err := r.Attach(t.Context(), oci.Reference{Repository: r.Address() + "/headers", Tag: "1.4.0"}, oci.Attachment{ArtifactType: attest.BundleMediaType, Name: "test-result.sigstore.json", Content: content}); err != nil {
			t.Fatal(err)
		}
		checks, err := attest.Verify(t.Context(), attest.VerifyOptions{Registry: r, Filters: []string{"headers"}, Version: version.MustParse("1.4.0"), Policy: attest.Policy{Key: public}})
		if err != nil {
			t.Fatal(err)
		}
		if c := checks[len(checks)-1]; c.What != attest.WhatTested || c.State != attest.Wrong || !strings.Contains(c.Detail, want) {
			t.Errorf("%+v, want %q", c, want)
		}
	}
}

func read(t *testing.T, content []byte) map[string]any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal(content, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// TestSignTwice: signing again adds nothing, and another signer adds one signature.
func TestSignTwice(t *testing.T) {
	t.Parallel()
	private, _ := newKeys(t)
	other, otherPublic := newKeys(t)
	filter := buildtest.Filter(t, "headers", "hello")
	address := startEmbedded(t)
	r := publish(t, address, private, filter)
	count := func() (n int) {
		manifests, err := r.Subjects(t.Context(), "headers", version.MustParse("1.4.0"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range manifests {
			attached, err := r.Attached(t.Context(), m.ByDigest(), attest.BundleMediaType)
			if err != nil {
				t.Fatal(err)
			}
			n += len(attached)
		}
		return n
	}
	once := count()
	again, err := attest.Sign(t.Context(), options(r, private, filter))
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(again.Attached, func(a attest.Attached) bool { return !a.Unchanged }) || count() != once {
		t.Errorf("signed again: %v", again.Attached)
	}
	if _, err := attest.Sign(t.Context(), options(r, other, filter)); err != nil {
		t.Fatal(err)
	}
	if twice := count(); twice != 2*once {
		t.Errorf("%d bundles of one signer, %d of two", once, twice)
	}
	checks, err := attest.Verify(t.Context(), attest.VerifyOptions{Registry: r, Filters: []string{"headers"}, Version: version.MustParse("1.4.0"), Policy: attest.Policy{Key: otherPublic}})
	if err != nil || attest.Failed(checks) != nil {
		t.Errorf("%v, %v", attest.Failed(checks), err)
	}
}

// TestRefusals: each error says what to do, and none holds the password or the key.
func TestRefusals(t *testing.T) {
	private, _ := newKeys(t)
	filter := buildtest.Filter(t, "headers", "hello")
	r := ocitest.Push(t, startEmbedded(t), "1.4.0", nil, filter)
	key, err := os.ReadFile(private)
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "plain.pem")
	if err := os.WriteFile(plain, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const wrong = "wrong-p4ssword"
	for name, c := range map[string]struct {
		password string
		change   func(*attest.SignOptions)
		want     string
	}{
		"password": {wrong, func(*attest.SignOptions) {}, "COSIGN_PASSWORD does not decrypt it"},
		"no file":  {password, func(o *attest.SignOptions) { o.Signer.Key = "missing.key" }, "there is no file of that name"},
		"no encrypted key": {password, func(o *attest.SignOptions) { o.Signer.Key = plain },
			"cosign import-key-pair"},
		"other module": {password, func(o *attest.SignOptions) {
			o.Release.Filters = []build.Built{buildtest.Filter(t, "headers", "other")}
			o.Played = nil // it is refused for its own module before
		},
			"build the version that is published"},
		"other commit": {password, func(o *attest.SignOptions) { o.Release.Revision = strings.Repeat("0", 40) },
			"check out the commit that is published"},
		"version that is not published": {password, func(o *attest.SignOptions) { o.Release.Version = version.MustParse("9.9.9") }, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("COSIGN_PASSWORD", c.password)
			opts := options(r, private, filter)
			c.change(&opts)
			_, err := attest.Sign(t.Context(), opts)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			for _, secret := range []string{c.password, string(key), base64.StdEncoding.EncodeToString(key)} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds a secret: %v", err)
				}
			}
		})
	}
}
