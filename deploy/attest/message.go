package attest

import "encoding/json"

// BundleMediaType is that of a sigstore bundle, and the artifact type of what is
// attached.
//
// Reference: https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_bundle.proto
const BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Signer says who signs. The zero value signs keyless, with a certificate for the
// identity that GitHub Actions gives a workflow run.
type Signer struct {
	// Key is a file with a private key as "cosign generate-key-pair" writes it, or
	// a key in a KMS: awskms://…, gcpkms://…, azurekms://…, hashivault://….
	// The password of a file is in the environment variable COSIGN_PASSWORD.
	Key string
	// Rehearsal signs with a key that nobody keeps.
	Rehearsal bool
	// FulcioURL gives certificates, RekorURL is the transparency log and
	// TimestampURL the timestamp authority. Default: without a key, those of the
	// public sigstore; with a key, none.
	FulcioURL, RekorURL, TimestampURL string
	// TrustedRoot is a file: see Policy.TrustedRoot.
	TrustedRoot string
}

// Policy says whose signatures count: those of a key, or those of one identity.
type Policy struct {
	// Key is a file with a public key, or a key in a KMS as in Signer.Key.
	Key string
	// Identity is the certificate's subject, to the letter: in GitHub Actions, the
	// URL of the workflow file with its ref, such as
	// "https://github.com/acme/filters/.github/workflows/release.yml@refs/tags/v1.4.0".
	Identity string
	// Issuer is who vouches for the identity, such as
	// "https://token.actions.githubusercontent.com".
	Issuer string
	// Repository is the repository whose workflow run signed, such as
	// "https://github.com/acme/filters". It tells apart those who call the same
	// reusable workflow, whose signatures all have its identity. Default: any.
	Repository string
	// TrustedRoot is a file with the certificates and keys of a private sigstore.
	// Default: those of the public one, fetched by TUF.
	//
	// Reference: https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_trustroot.proto
	TrustedRoot string
}

// IsZero reports whether nobody's signatures count.
func (p Policy) IsZero() bool { return p.Key == "" && p.Identity == "" && p.Issuer == "" }

// Request is what the programs below sigstore read from standard input, as JSON:
// one of the two. Secrets are not part of it: the programs have the environment.
type Request struct {
	Sign   *SignRequest   `json:",omitempty"`
	Verify *VerifyRequest `json:",omitempty"`
}

// SignRequest asks for a bundle for each statement.
type SignRequest struct {
	Signer Signer
	// Policy says which of the bundles that exist count. Default: with a key, those
	// that it signed; without, none.
	Policy Policy
	Items  []SignItem
}

// SignItem is a statement to sign.
type SignItem struct {
	// Statement is the statement, as JSON.
	Statement []byte
	// ManifestDigest is the subject that existing bundles must have.
	ManifestDigest string
	// Existing are bundles that may say the same already.
	Existing []json.RawMessage
}

// VerifyRequest asks whether bundles are signed as the policy says.
type VerifyRequest struct {
	Policy Policy
	Items  []VerifyItem
}

// VerifyItem is a bundle that should be about a manifest.
type VerifyItem struct {
	ManifestDigest string
	Bundle         json.RawMessage
}

// Response is the answer on standard output. Standard error is for people.
type Response struct {
	// Bundles are those of a SignRequest, one for each item; null where one of the
	// existing bundles says the same.
	Bundles []json.RawMessage `json:",omitempty"`
	// PublicKey is that of the key that signed, as PEM; empty if it was keyless.
	PublicKey string `json:",omitempty"`
	// Results are those of a VerifyRequest, one for each item.
	Results []VerifyResult `json:",omitempty"`
	// Error is why there is nothing else. Empty: all went well.
	Error string `json:",omitempty"`
	// ErrorKinds say what kind of error it is: see Err.
	ErrorKinds []string `json:",omitempty"`
}

// VerifyResult is what is known of a bundle.
type VerifyResult struct {
	// PredicateType is what the bundle claims to be, even if it is not valid.
	PredicateType string
	// Statement is the signed statement; empty if the bundle is not valid.
	Statement []byte
	// Signer says who signed, for people; empty for a key.
	Signer string
	// Problem is why the bundle is not valid. Empty: it is.
	Problem string
}
