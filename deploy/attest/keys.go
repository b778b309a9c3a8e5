package attest

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
)

// CheckKeys opens what Sign and Verify need: the key, the certificate's identity or the token
// for one, and the policy's key, which has to be the pair of the signer's. Without a signer it
// opens the policy's only. It signs nothing.
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
	response, err := run(ctx, request)
	if err != nil {
		return fmt.Errorf("open the keys for signatures: %w", err)
	}
	if request.Sign == nil || policy.Key == "" || response.PublicKey == "" {
		return nil
	}
	data, err := os.ReadFile(policy.Key)
	if err != nil {
		return nil //nolint:nilerr // it is no file, and the program opened it
	}
	ours, _ := pem.Decode([]byte(response.PublicKey))
	theirs, _ := pem.Decode(data)
	if ours != nil && theirs != nil && !bytes.Equal(ours.Bytes, theirs.Bytes) {
		return fmt.Errorf("the key that signs is not the pair of %s, so that no signature would count; \"cosign public-key\" prints its public half", policy.Key)
	}
	return nil
}
