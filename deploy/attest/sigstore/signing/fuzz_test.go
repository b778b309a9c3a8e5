package signing

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/attest"
)

// FuzzBundle: whatever is attached as a bundle, only what was signed passes. The bundle
// and the key in testdata come from a rehearsal, whose private key was never stored.
func FuzzBundle(f *testing.F) {
	signed, err := os.ReadFile("testdata/signature.sigstore.json")
	must(f, err)
	j, err := newJudge(f.Context(), attest.Policy{Key: "testdata/cosign.pub"})
	must(f, err)
	first, err := j.judge(attest.VerifyItem{SubjectDigest: digest, Bundle: signed})
	must(f, err)
	f.Add(signed)
	f.Add([]byte(`null`))
	f.Add([]byte(`{"mediaType":"` + attest.BundleMediaType + `","dsseEnvelope":{"signatures":[{}]},"verificationMaterial":{"publicKey":{},"tlogEntries":[{}]}}`))
	f.Fuzz(func(t *testing.T, bundle []byte) {
		item := attest.VerifyItem{SubjectDigest: digest, Bundle: json.RawMessage(bundle)}
		result, err := j.judge(item)
		if (err == nil) != (result.Statement != nil) || (err == nil && string(result.Statement) != string(first.Statement)) {
			t.Errorf("%q passes, which nobody signed: %v", result.Statement, err)
		}
	})
}
