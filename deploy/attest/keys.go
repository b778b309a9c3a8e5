package attest

import (
	"context"
	"fmt"
)

// CheckKeys opens what Sign and Verify need: the key, the certificate's identity or the token
// for one, and the policy's key. Without a signer it opens the policy's only. It signs nothing.
func CheckKeys(ctx context.Context, signer *Signer, policy Policy) error {
	var request Request
	switch {
	case signer != nil && !signer.Rehearsal:
		request.Sign = &SignRequest{Signer: signer.absolute(), Policy: policy.absolute()}
	case !policy.IsZero():
		request.Verify = &VerifyRequest{Policy: policy.absolute()}
	default:
		return nil
	}
	if _, err := run(ctx, request); err != nil {
		return fmt.Errorf("open the keys for signatures: %w", err)
	}
	return nil
}
