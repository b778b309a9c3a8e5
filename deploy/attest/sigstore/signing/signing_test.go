package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature/kms/fake"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/attest/sigstore/virtual"
)

const digest = "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"

// statement is a statement about a manifest digest, "sha256:…".
func statement(t testing.TB, digest, predicateType string) []byte {
	t.Helper()
	_, value, _ := strings.Cut(digest, ":")
	data, err := json.Marshal(attest.Statement{
		Type:          "https://in-toto.io/Statement/v1",
		Subject:       []attest.Resource{{Digest: map[string]string{"sha256": value}}},
		PredicateType: predicateType,
		Predicate:     json.RawMessage(`{}`),
	})
	must(t, err)
	return data
}

// ask sends a request in the form in which the programs get it.
func ask(t testing.TB, request attest.Request) attest.Response {
	t.Helper()
	input, err := json.Marshal(request)
	must(t, err)
	var output bytes.Buffer
	must(t, Serve(t.Context(), bytes.NewReader(input), &output))
	for _, secret := range []string{virtual.RequestSecret, virtual.IDToken} {
		if strings.Contains(output.String(), secret) {
			t.Errorf("the answer holds a secret: %s", output.String())
		}
	}
	var response attest.Response
	must(t, json.Unmarshal(output.Bytes(), &response))
	return response
}

func signItems(t testing.TB) []attest.SignItem {
	t.Helper()
	return []attest.SignItem{
		{SubjectDigest: digest, Statement: statement(t, digest, attest.PredicateSignature)},
		{SubjectDigest: digest, Statement: statement(t, digest, attest.PredicateProvenance)},
	}
}

// verifyOne verifies a bundle that should be about a manifest.
func verifyOne(t *testing.T, policy attest.Policy, digest string, bundle json.RawMessage) attest.VerifyResult {
	t.Helper()
	response := ask(t, attest.Request{Verify: &attest.VerifyRequest{Policy: policy, Items: []attest.VerifyItem{{SubjectDigest: digest, Bundle: bundle}}}})
	if response.Error != "" {
		return attest.VerifyResult{Problem: response.Error}
	}
	return response.Results[0]
}

// TestKeyless signs like a job of GitHub Actions, from the request for an identity to
// the entry in the log. Only that identity is accepted.
func TestKeyless(t *testing.T) {
	v := virtual.Start(t)
	signed := ask(t, attest.Request{Sign: &attest.SignRequest{Signer: v.Signer, Items: signItems(t)}})
	if signed.Error != "" || len(signed.Bundles) != 2 || signed.PublicKey != "" {
		t.Fatalf("%+v", signed)
	}
	if v.Certificates != 1 || v.Entries != 2 {
		t.Errorf("%d certificates and %d entries for two statements", v.Certificates, v.Entries)
	}
	good := attest.Policy{Identity: virtual.Identity, Issuer: virtual.Issuer, Repository: virtual.Repository, TrustedRoot: v.TrustedRoot}
	with := func(change func(*attest.Policy)) attest.Policy {
		p := good
		change(&p)
		return p
	}
	other := virtual.Start(t)
	for name, c := range map[string]struct {
		policy attest.Policy
		digest string
		want   string // in the problem; empty if it is accepted
	}{
		"good":               {good, digest, ""},
		"any repository":     {with(func(p *attest.Policy) { p.Repository = "" }), digest, ""},
		"other identity":     {with(func(p *attest.Policy) { p.Identity = strings.Replace(virtual.Identity, "v2", "v3", 1) }), digest, "no matching CertificateIdentity"},
		"identity's prefix":  {with(func(p *attest.Policy) { p.Identity = virtual.Identity[:len(virtual.Identity)-1] }), digest, "no matching CertificateIdentity"},
		"other issuer":       {with(func(p *attest.Policy) { p.Issuer = "https://gitlab.com" }), digest, "no matching CertificateIdentity"},
		"other repository":   {with(func(p *attest.Policy) { p.Repository = "https://github.com/evil/filters" }), digest, "no matching CertificateIdentity"},
		"other sigstore":     {with(func(p *attest.Policy) { p.TrustedRoot = other.TrustedRoot }), digest, "verif"},
		"no certificate log": {with(func(p *attest.Policy) { p.TrustedRoot = v.TrustedRootWithCT }), digest, "SCT"},
		"other manifest":     {good, "sha256:" + strings.Repeat("0", 64), "digest"},
		"no issuer":          {with(func(p *attest.Policy) { p.Issuer = "" }), digest, "an identity and its issuer go together"},
		"key and identity":   {with(func(p *attest.Policy) { p.Key = "cosign.pub" }), digest, "a key and an identity are given"},
	} {
		t.Run(name, func(t *testing.T) {
			got := verifyOne(t, c.policy, c.digest, signed.Bundles[0])
			if c.want == "" && (got.Problem != "" || !strings.Contains(got.Signer, virtual.Identity) || len(got.Statement) == 0) {
				t.Errorf("%+v", got)
			}
			if c.want != "" && (!strings.Contains(got.Problem, c.want) || got.Statement != nil) {
				t.Errorf("%+v, want a problem with %q", got, c.want)
			}
		})
	}
}

// TestKeylessWithoutLog: a certificate is valid for minutes, and without a log nobody
// knows when it signed.
func TestKeylessWithoutLog(t *testing.T) {
	v := virtual.Start(t)
	signed := ask(t, attest.Request{Sign: &attest.SignRequest{Signer: v.Signer, Items: signItems(t)[:1]}})
	var bundle map[string]any
	must(t, json.Unmarshal(signed.Bundles[0], &bundle))
	material := bundle["verificationMaterial"].(map[string]any)
	delete(material, "tlogEntries")
	data, err := json.Marshal(bundle)
	must(t, err)
	policy := attest.Policy{Identity: virtual.Identity, Issuer: virtual.Issuer, TrustedRoot: v.TrustedRoot}
	if got := verifyOne(t, policy, digest, data); !strings.Contains(got.Problem, "log") {
		t.Errorf("%+v", got)
	}
}

// TestKeylessTwice: a second run signs only what has no signature that the policy
// accepts.
func TestKeylessTwice(t *testing.T) {
	v := virtual.Start(t)
	items := signItems(t)
	first := ask(t, attest.Request{Sign: &attest.SignRequest{Signer: v.Signer, Items: items[:1]}})
	for i := range items {
		items[i].Existing = first.Bundles
	}
	policy := attest.Policy{Identity: virtual.Identity, Issuer: virtual.Issuer, TrustedRoot: v.TrustedRoot}
	again := ask(t, attest.Request{Sign: &attest.SignRequest{Signer: v.Signer, Policy: policy, Items: items}})
	if again.Error != "" || string(again.Bundles[0]) != "null" || string(again.Bundles[1]) == "null" {
		t.Errorf("%s %.100s %.100s", again.Error, again.Bundles[0], again.Bundles[1])
	}
}

// TestTestResultTwice: a second run signs a test result only if the tests are others.
func TestTestResultTwice(t *testing.T) {
	v := virtual.Start(t)
	same := attest.SignItem{SubjectDigest: digest, Statement: statement(t, digest, attest.PredicateTestResult)}
	first := ask(t, attest.Request{Sign: &attest.SignRequest{Signer: v.Signer, Items: []attest.SignItem{same}}})
	same.Existing = first.Bundles
	other := same
	other.Statement = bytes.Replace(same.Statement, []byte(`"predicate":{}`), []byte(`"predicate":{"result":"PASSED"}`), 1)
	policy := attest.Policy{Identity: virtual.Identity, Issuer: virtual.Issuer, TrustedRoot: v.TrustedRoot}
	again := ask(t, attest.Request{Sign: &attest.SignRequest{Signer: v.Signer, Policy: policy, Items: []attest.SignItem{same, other}}})
	if again.Error != "" || string(again.Bundles[0]) != "null" || string(again.Bundles[1]) == "null" {
		t.Errorf("%s %.100s %.100s", again.Error, again.Bundles[0], again.Bundles[1])
	}
}

// TestKeylessRefusals: each error says what to do.
func TestKeylessRefusals(t *testing.T) {
	v := virtual.Start(t)
	for name, c := range map[string]struct {
		change func(t *testing.T, s *attest.Signer)
		want   string
	}{
		"no identity": {func(t *testing.T, _ *attest.Signer) { t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "") },
			`permission "id-token: write"`},
		"refused by Actions": {func(t *testing.T, _ *attest.Signer) { t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "other-s3cret") },
			"ask GitHub Actions for an identity token: it answers 403"},
		"no log":            {func(_ *testing.T, s *attest.Signer) { s.RekorURL = "" }, "a Fulcio is given without a log"},
		"log of another":    {func(_ *testing.T, s *attest.Signer) { s.FulcioURL = "" }, "without a Fulcio"},
		"refused by Fulcio": {func(_ *testing.T, s *attest.Signer) { s.FulcioURL += "/elsewhere" }, "get a certificate from Fulcio"},
	} {
		t.Run(name, func(t *testing.T) {
			signer := v.Signer
			c.change(t, &signer)
			got := ask(t, attest.Request{Sign: &attest.SignRequest{Signer: signer, Items: signItems(t)}})
			if !strings.Contains(got.Error, c.want) || len(got.Bundles) > 0 {
				t.Errorf("%+v, want %q", got, c.want)
			}
			if strings.Contains(got.Error, "other-s3cret") {
				t.Errorf("a secret in %q", got.Error)
			}
		})
	}
}

// TestRehearsal signs with a key that is not stored, and changes every important part
// of a bundle.
func TestRehearsal(t *testing.T) {
	signed := ask(t, attest.Request{Sign: &attest.SignRequest{Signer: attest.Signer{Rehearsal: true}, Items: signItems(t)}})
	if signed.Error != "" {
		t.Fatal(signed.Error)
	}
	public := filepath.Join(t.TempDir(), "rehearsal.pub")
	must(t, os.WriteFile(public, []byte(signed.PublicKey), 0o600))
	policy := attest.Policy{Key: public}
	bundle := signed.Bundles[1]
	if got := verifyOne(t, policy, digest, bundle); got.Problem != "" || got.PredicateType != attest.PredicateProvenance {
		t.Errorf("%+v", got)
	}
	edit := func(change func(envelope map[string]any)) json.RawMessage {
		var b map[string]any
		must(t, json.Unmarshal(bundle, &b))
		change(b["dsseEnvelope"].(map[string]any))
		data, err := json.Marshal(b)
		must(t, err)
		return data
	}
	moved := "sha256:" + strings.Repeat("7", 64)
	for name, c := range map[string]struct {
		bundle json.RawMessage
		digest string
	}{
		"subject": {edit(func(e map[string]any) { e["payload"] = statement(t, moved, attest.PredicateProvenance) }), moved},
		"predicate": {edit(func(e map[string]any) {
			e["payload"] = bytes.Replace(statement(t, digest, attest.PredicateProvenance), []byte("{}"), []byte(`{"a":1}`), 1)
		}), digest},
		"type":      {edit(func(e map[string]any) { e["payloadType"] = "text/plain" }), digest},
		"signature": {edit(func(e map[string]any) { e["signatures"] = []any{map[string]any{"sig": "AAAA"}} }), digest},
		"unsigned":  {edit(func(e map[string]any) { delete(e, "signatures") }), digest},
		"no bundle": {json.RawMessage(`{"mediaType":"application/json"}`), digest},
		"null":      {json.RawMessage(`null`), digest},
		"a number":  {json.RawMessage(`7`), digest},
		"no digest": {bundle, "latest"},
	} {
		if got := verifyOne(t, policy, c.digest, c.bundle); got.Problem == "" || got.Statement != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestSecretInTheWrongPlace: a key, or an address with a password, in the place of a
// file's name or an address is never repeated in a response.
func TestSecretInTheWrongPlace(t *testing.T) {
	const secret = "hunter2SECRET"
	pem := "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n"
	file := filepath.Join(t.TempDir(), "variables")
	must(t, os.WriteFile(file, []byte("TOKEN="+secret), 0o600))
	v := virtual.Start(t)
	sign := func(change func(*attest.Signer)) attest.Request {
		signer := v.Signer
		change(&signer)
		return attest.Request{Sign: &attest.SignRequest{Signer: signer, Items: signItems(t)}}
	}
	verify := func(policy attest.Policy) attest.Request {
		return attest.Request{Verify: &attest.VerifyRequest{Policy: policy}}
	}
	const noFile = "there is no file of that name"
	for name, c := range map[string]struct {
		request attest.Request
		want    string
	}{
		"private key":           {sign(func(s *attest.Signer) { s.Key = pem }), noFile},
		"token as private key":  {sign(func(s *attest.Signer) { s.Key = "/builds/" + secret }), noFile},
		"private key in a KMS":  {sign(func(s *attest.Signer) { s.Key = "nokms://user:" + secret + "@host/a?token=" + secret }), "open key nokms://host/a"},
		"public key":            {verify(attest.Policy{Key: pem}), noFile},
		"public key in a KMS":   {verify(attest.Policy{Key: "nokms://user:" + secret + "@host/a"}), "open key nokms://host/a"},
		"trusted root":          {verify(attest.Policy{Identity: "a", Issuer: "b", TrustedRoot: secret}), noFile},
		"trusted root's file":   {verify(attest.Policy{Identity: "a", Issuer: "b", TrustedRoot: file}), "it is no JSON"},
		"password for Fulcio":   {sign(func(s *attest.Signer) { s.FulcioURL = "http://user:" + secret + "@127.0.0.1:1?a=" + secret }), "127.0.0.1:1"},
		"password for the log":  {sign(func(s *attest.Signer) { s.RekorURL = "http://user:" + secret + "@127.0.0.1:1" }), "127.0.0.1:1"},
		"password for the time": {sign(func(s *attest.Signer) { s.TimestampURL = "http://user:" + secret + "@127.0.0.1:1" }), "127.0.0.1:1"},
		"key as Fulcio":         {sign(func(s *attest.Signer) { s.FulcioURL = secret }), "the address of Fulcio is not an http or https URL"},
		"key as the log":        {sign(func(s *attest.Signer) { s.RekorURL = "a:" + secret }), "the address of the log is not an http or https URL"},
		"key as the time":       {sign(func(s *attest.Signer) { s.TimestampURL = pem }), "the address of the timestamp authority is not an http or https URL"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, c.request)
			if !strings.Contains(got.Error, c.want) {
				t.Errorf("%q, want %q in it", got.Error, c.want)
			}
			if strings.Contains(got.Error, secret) {
				t.Errorf("a secret is in %q", got.Error)
			}
		})
	}
}

func TestServeRefuses(t *testing.T) {
	if err := Serve(t.Context(), strings.NewReader("what?"), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "package attest starts this program") {
		t.Errorf("%v", err)
	}
	if got := ask(t, attest.Request{}); !strings.Contains(got.Error, "asks for nothing") {
		t.Errorf("%+v", got)
	}
}

// TestKeyInVariable: as for cosign, a key may be in an environment variable, where CI systems
// keep secrets.
func TestKeyInVariable(t *testing.T) {
	private, err := os.ReadFile("../../../targets/testdata/cosign.key")
	must(t, err)
	public, err := os.ReadFile("../../../targets/testdata/cosign.pub")
	must(t, err)
	t.Setenv("COSIGN_PASSWORD", "test")
	t.Setenv("COSIGN_PRIVATE_KEY", string(private))
	t.Setenv("COSIGN_PUBLIC_KEY", string(public))
	signed, err := Sign(t.Context(), attest.SignRequest{Signer: attest.Signer{Key: "env://COSIGN_PRIVATE_KEY"}, Items: signItems(t)})
	must(t, err)
	items := []attest.VerifyItem{{SubjectDigest: digest, Bundle: signed.Bundles[0]}}
	results, err := Verify(t.Context(), attest.VerifyRequest{Policy: attest.Policy{Key: "env://COSIGN_PUBLIC_KEY"}, Items: items})
	must(t, err)
	if results[0].Problem != "" {
		t.Error(results[0].Problem)
	}
	t.Setenv("COSIGN_PRIVATE_KEY", "")
	got := ask(t, attest.Request{Sign: &attest.SignRequest{Signer: attest.Signer{Key: "env://COSIGN_PRIVATE_KEY"}, Items: signItems(t)}})
	if !strings.Contains(got.Error, "the variable of env://COSIGN_PRIVATE_KEY is empty or not set") {
		t.Errorf("%+v", got)
	}
}

// TestKMS signs and verifies with a key that only a KMS has. It is sigstore's own fake
// KMS, because a real one needs an account.
func TestKMS(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ctx := context.WithValue(t.Context(), fake.KmsCtxKey{}, crypto.PrivateKey(private))
	const key = fake.ReferenceScheme + "filters"
	signed, err := Sign(ctx, attest.SignRequest{Signer: attest.Signer{Key: key}, Items: signItems(t)})
	must(t, err)
	items := []attest.VerifyItem{{SubjectDigest: digest, Bundle: signed.Bundles[0]}}
	results, err := Verify(ctx, attest.VerifyRequest{Policy: attest.Policy{Key: key}, Items: items})
	must(t, err)
	if results[0].Problem != "" {
		t.Error(results[0].Problem)
	}
	// A context without the key stands for another KMS.
	results, err = Verify(t.Context(), attest.VerifyRequest{Policy: attest.Policy{Key: key}, Items: items})
	must(t, err)
	if results[0].Problem == "" {
		t.Error("another key is accepted")
	}
	got := ask(t, attest.Request{Sign: &attest.SignRequest{Signer: attest.Signer{Key: "nokms://filters"}, Items: signItems(t)}})
	if !strings.Contains(got.Error, "open key nokms://filters") {
		t.Errorf("%+v", got)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
