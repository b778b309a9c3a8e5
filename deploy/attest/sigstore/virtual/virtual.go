// Package virtual runs GitHub Actions' identity service, Fulcio and Rekor as servers in
// a test. They have the APIs of the real ones, and use sigstore-go's virtual
// certificate authority and log.
package virtual

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/runtime"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"

	"github.com/slipway-wasm/slipway/deploy/attest"
)

// What the identity service says about the running job.
const (
	workflowRef = "acme/pipeline/.github/workflows/release.yml@refs/tags/v2"
	// Identity is the workflow's identity, and Issuer vouches for it.
	Identity = "https://github.com/" + workflowRef
	Issuer   = "https://token.actions.githubusercontent.com"
	// Repository is the repository whose run calls the workflow.
	Repository = "https://github.com/acme/filters"
)

// RequestSecret and IDToken are the secrets of a job. Neither may appear anywhere.
const RequestSecret = "request-s3cret"

// IDToken is the token that the identity service of Start hands out.
var IDToken = Job{WorkflowRef: workflowRef, Repository: Repository}.token()

// Job is whom the identity service vouches for.
type Job struct {
	// WorkflowRef is the file that defines the job, with its repository and ref, such as
	// "acme/pipeline/.github/workflows/release.yml@refs/tags/v2".
	WorkflowRef string
	// Repository is the URL of the repository whose run calls the workflow.
	Repository string
}

func (j Job) token() string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+Issuer+`","sub":"repo:acme/filters:ref:refs/tags/v1.4.0","repository":"`+strings.TrimPrefix(j.Repository, "https://github.com/")+`","aud":"sigstore","job_workflow_ref":"`+j.WorkflowRef+`"}`)) + ".c2lnbmF0dXJl"
}

// Sigstore has the addresses and files of the started servers.
type Sigstore struct {
	// Signer signs with these servers.
	Signer attest.Signer
	// TrustedRoot is a file that trusts the servers. TrustedRootWithCT also wants
	// certificates to be in a log, which they are not.
	TrustedRoot, TrustedRootWithCT string
	// Certificates counts Fulcio's certificates, and Entries those in Rekor.
	Certificates, Entries int
}

// Start starts the servers until the test ends. It sets the environment of a job of
// GitHub Actions with the permission to ask for an identity.
func Start(t *testing.T) *Sigstore {
	t.Helper()
	return StartFor(t, Job{WorkflowRef: workflowRef, Repository: Repository})
}

// StartFor is Start for another job.
func StartFor(t *testing.T, job Job) *Sigstore {
	t.Helper()
	idToken := job.token()
	sigstore, err := ca.NewVirtualSigstore()
	must(t, err)
	rootCert, rootKey, err := ca.GenerateRootCa()
	must(t, err)
	intermediate, intermediateKey, err := ca.GenerateFulcioIntermediate(rootCert, rootKey)
	must(t, err)
	v := &Sigstore{}

	fulcio := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			PublicKeyRequest struct {
				PublicKey         struct{ Content string }
				ProofOfPossession []byte
			}
		}
		if r.URL.Path != "/api/v2/signingCert" || r.Header.Get("Authorization") != "Bearer "+idToken || json.NewDecoder(r.Body).Decode(&request) != nil {
			http.Error(w, "refused", http.StatusUnauthorized)
			return
		}
		block, _ := pem.Decode([]byte(request.PublicKeyRequest.PublicKey.Content))
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		sum := sha256.Sum256([]byte("repo:acme/filters:ref:refs/tags/v1.4.0"))
		if err != nil || !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), sum[:], request.PublicKeyRequest.ProofOfPossession) {
			http.Error(w, "no proof of possession", http.StatusBadRequest)
			return
		}
		v.Certificates++
		chain := []string{leaf(t, job, public, intermediate, intermediateKey), certificatePEM(intermediate.Raw), certificatePEM(rootCert.Raw)}
		answer := map[string]any{"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": chain}}}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(fulcio.Close)

	rekor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proposed, err := models.UnmarshalProposedEntry(r.Body, runtime.JSONConsumer())
		must(t, err)
		entry, err := types.UnmarshalEntry(proposed)
		must(t, err)
		body, err := entry.Canonicalize(context.Background())
		must(t, err)
		id, err := sigstore.RekorLogID()
		must(t, err)
		now, index := time.Now().Unix(), int64(0)
		encoded := base64.StdEncoding.EncodeToString(body)
		set, err := sigstore.RekorSignPayload(tlog.RekorPayload{Body: encoded, IntegratedTime: now, LogIndex: index, LogID: id})
		must(t, err)
		proof, err := sigstore.GetInclusionProof(body)
		must(t, err)
		v.Entries++
		sum := sha256.Sum256(body)
		uuid := hex.EncodeToString(sum[:])
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", uuid)
		w.Header().Set("Location", "/api/v1/log/entries/"+uuid)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(models.LogEntry{uuid: {
			Body: encoded, IntegratedTime: &now, LogID: &id, LogIndex: &index,
			Verification: &models.LogEntryAnonVerification{SignedEntryTimestamp: set, InclusionProof: proof},
		}})
	}))
	t.Cleanup(rekor.Close)

	actions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "bearer "+RequestSecret || r.URL.Query().Get("audience") != "sigstore" || r.URL.Query().Get("run") != "7" {
			http.Error(w, "refused", http.StatusForbidden)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"value": idToken})
	}))
	t.Cleanup(actions.Close)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", actions.URL+"/token?run=7")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", RequestSecret)

	authority := &root.FulcioCertificateAuthority{
		Root: rootCert, Intermediates: []*x509.Certificate{intermediate}, URI: fulcio.URL,
		ValidityPeriodStart: time.Now().Add(-time.Hour), ValidityPeriodEnd: time.Now().Add(time.Hour),
	}
	write := func(name string, ctLogs map[string]*root.TransparencyLog) string {
		trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{authority}, ctLogs, nil, logs(t, sigstore.RekorLogs()))
		must(t, err)
		data, err := trusted.MarshalJSON()
		must(t, err)
		path := filepath.Join(t.TempDir(), name)
		must(t, os.WriteFile(path, data, 0o600))
		return path
	}
	v.TrustedRoot = write("trusted_root.json", nil)
	v.TrustedRootWithCT = write("trusted_root_ct.json", logs(t, sigstore.CTLogs()))
	v.Signer = attest.Signer{FulcioURL: fulcio.URL, RekorURL: rekor.URL, TrustedRoot: v.TrustedRoot}
	return v
}

// logs returns the logs with raw IDs, as in a trusted root's file.
func logs(t *testing.T, all map[string]*root.TransparencyLog) map[string]*root.TransparencyLog {
	t.Helper()
	for id, log := range all {
		raw, err := hex.DecodeString(id)
		must(t, err)
		log.ID, log.SignatureHashFunc = raw, crypto.SHA256
	}
	return all
}

// leaf is a certificate as Fulcio makes it for a job of GitHub Actions.
//
// Reference: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
func leaf(t *testing.T, job Job, public crypto.PublicKey, parent *x509.Certificate, key crypto.Signer) string {
	t.Helper()
	san, err := url.Parse("https://github.com/" + job.WorkflowRef)
	must(t, err)
	extension := func(arc int, value string) pkix.Extension {
		der, err := asn1.MarshalWithParams(value, "utf8")
		must(t, err)
		return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, arc}, Value: der}
	}
	// Its first extensions are not DER.
	workflowRepository := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 5}, Value: []byte("acme/filters")}
	template := &x509.Certificate{
		SerialNumber:    big.NewInt(7),
		URIs:            []*url.URL{san},
		NotBefore:       time.Now().Add(-time.Minute),
		NotAfter:        time.Now().Add(10 * time.Minute),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{extension(8, Issuer), extension(12, job.Repository), workflowRepository},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	must(t, err)
	return certificatePEM(der)
}

func certificatePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
		panic(err) // works in a server too, where FailNow must not be called
	}
}
