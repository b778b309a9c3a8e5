package signing

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// judge decides whether a bundle's signature satisfies a policy.
type judge struct {
	verifier *verify.Verifier
	whose    verify.PolicyOption
}

// newJudge reads what the policy trusts.
func newJudge(ctx context.Context, policy attest.Policy) (*judge, error) {
	switch {
	case policy.Key != "" && (policy.Identity != "" || policy.Issuer != ""):
		return nil, fmt.Errorf("a key and an identity are given: %w", attest.ErrPolicy)
	case policy.Key != "":
		public, err := loadPublicKey(ctx, policy.Key)
		if err != nil {
			return nil, err
		}
		verifier, err := signature.LoadDefaultVerifier(public, loadOptions...)
		if err != nil {
			return nil, err
		}
		return newKeyJudge(verifier)
	case policy.Identity == "" || policy.Issuer == "":
		return nil, fmt.Errorf("an identity and its issuer go together: %w", attest.ErrPolicy)
	}
	return newIdentityJudge(policy)
}

// newKeyJudge trusts one key. It does not require a transparency log: see RATIONALE.md.
func newKeyJudge(verifier signature.Verifier) (*judge, error) {
	key := root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	material := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return key, nil })
	v, err := verify.NewVerifier(material, verify.WithNoObserverTimestamps())
	return &judge{verifier: v, whose: verify.WithKey()}, err
}

// newIdentityJudge trusts one identity. Its certificates and signatures have to be in
// transparency logs.
func newIdentityJudge(policy attest.Policy) (*judge, error) {
	trusted, err := trustedRoot(policy.TrustedRoot)
	if err != nil {
		return nil, err
	}
	opts := []verify.VerifierOption{verify.WithObserverTimestamps(1), verify.WithTransparencyLog(1)}
	// A private Fulcio may have no log of its certificates. Then its trusted root has
	// no key of such a log.
	if len(trusted.CTLogs()) > 0 {
		opts = append(opts, verify.WithSignedCertificateTimestamps(1))
	}
	v, err := verify.NewVerifier(trusted, opts...)
	if err != nil {
		return nil, err
	}
	san, err := verify.NewSANMatcher(policy.Identity, "")
	if err != nil {
		return nil, err
	}
	issuer, err := verify.NewIssuerMatcher(policy.Issuer, "")
	if err != nil {
		return nil, err
	}
	identity, err := verify.NewCertificateIdentity(san, issuer, certificate.Extensions{SourceRepositoryURI: policy.Repository})
	return &judge{verifier: v, whose: verify.WithCertificateIdentity(identity)}, err
}

// trustedRoot reads a file, or fetches the root of the public sigstore by TUF.
func trustedRoot(file string) (root.TrustedMaterial, error) {
	if file == "" {
		trusted, err := root.FetchTrustedRoot()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", attest.ErrTrustedRoot, err)
		}
		return trusted, nil
	}
	data, err := redact.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the trusted root: %w", err)
	}
	if !json.Valid(data) {
		return nil, fmt.Errorf(`read the trusted root %s: it is no JSON; give the file that "cosign trusted-root create" writes`, file)
	}
	trusted, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("read the trusted root %s: %w", file, err)
	}
	return trusted, nil
}
