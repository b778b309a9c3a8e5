package signing

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/slipway-wasm/slipway/deploy/attest"
)

// Verify says of each bundle whether it satisfies the policy and is about the right
// subject. What is wrong with a bundle is in its result. The error is for a policy
// that cannot be applied.
func Verify(ctx context.Context, request attest.VerifyRequest) ([]attest.VerifyResult, error) {
	j, err := newJudge(ctx, request.Policy)
	if err != nil {
		return nil, err
	}
	results := make([]attest.VerifyResult, len(request.Items))
	for i, item := range request.Items {
		if results[i], err = j.judge(item); err != nil {
			results[i].Statement = nil
			results[i].Problem = err.Error()
		}
	}
	return results, nil
}

// judge returns what a bundle says. With an error, the result has only what the bundle
// claims.
func (j *judge) judge(item attest.VerifyItem) (result attest.VerifyResult, err error) {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(item.Bundle); err != nil {
		return result, fmt.Errorf("it is no sigstore bundle: %w", err)
	}
	envelope, err := b.Envelope()
	if err != nil {
		return result, fmt.Errorf("it holds no statement: %w", err)
	}
	payload, err := envelope.DecodeB64Payload()
	if err != nil {
		return result, fmt.Errorf("it holds no statement: %w", err)
	}
	var claim attest.Statement
	if err := json.Unmarshal(payload, &claim); err != nil {
		return result, errors.New("its payload is not a statement in JSON")
	}
	result.PredicateType = claim.PredicateType

	algorithm, value, _ := strings.Cut(item.SubjectDigest, ":")
	digest, err := hex.DecodeString(value)
	if err != nil || len(digest) == 0 {
		return result, fmt.Errorf("%q is no digest", item.SubjectDigest)
	}
	verified, err := j.verifier.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest(algorithm, digest), j.whose))
	if err != nil {
		return result, err
	}
	result.Statement = payload
	if verified.Signature != nil && verified.Signature.Certificate != nil {
		certificate := verified.Signature.Certificate
		result.Signer = fmt.Sprintf("signed by %s, for whom %s vouches", certificate.SubjectAlternativeName, certificate.Issuer)
	}
	return result, nil
}
