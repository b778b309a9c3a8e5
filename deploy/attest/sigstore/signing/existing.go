package signing

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/slipway-wasm/slipway/deploy/attest"
)

// existing finds statements that were signed before.
type existing struct{ judge *judge }

// judgeOfExisting returns a judge by the policy. Without a policy, it accepts what this key
// signed; a keyless signer's key is new each time, so then it accepts nothing.
func (s *signer) judgeOfExisting(ctx context.Context, policy attest.Policy) (existing, error) {
	if !policy.IsZero() {
		j, err := newJudge(ctx, policy)
		return existing{j}, err
	}
	if s.keyless {
		return existing{}, nil
	}
	verifier, err := signature.LoadDefaultVerifier(s.keypair.GetPublicKey(), loadOptions...)
	if err != nil {
		return existing{}, err
	}
	j, err := newKeyJudge(verifier)
	return existing{j}, err
}

// has reports whether a valid bundle makes a statement of the same type about the
// same subjects. Of a test result and a record, what it says has to be the same: other tests are news.
func (e existing) has(item attest.SignItem) bool {
	var wanted attest.Statement
	if e.judge == nil || json.Unmarshal(item.Statement, &wanted) != nil {
		return false
	}
	for _, candidate := range item.Existing {
		found, err := e.judge.judge(attest.VerifyItem{SubjectDigest: item.SubjectDigest, Bundle: candidate})
		var made attest.Statement
		if err != nil || json.Unmarshal(found.Statement, &made) != nil || !made.Covers(wanted) {
			continue
		}
		if wanted.PredicateType != attest.PredicateTestResult && wanted.PredicateType != attest.PredicateRecord || bytes.Equal(made.Predicate, wanted.Predicate) {
			return true
		}
	}
	return false
}
