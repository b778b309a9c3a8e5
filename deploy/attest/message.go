package attest

import "encoding/json"

// BundleMediaType is the media type of a sigstore bundle, and the artifact type of its
// manifest.
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
	// Rehearsal signs with a new key whose private half is not stored.
	Rehearsal bool
	// FulcioURL gives certificates, RekorURL is the transparency log and
	// TimestampURL the timestamp authority. Default: without a key, those of the
	// public sigstore; with a key, none.
	FulcioURL, RekorURL, TimestampURL string
	// TrustedRoot is a file: see Policy.TrustedRoot.
	TrustedRoot string
}

// Policy says whose signatures count: those by a key, or those by one identity.
type Policy struct {
	// Key is a file with a public key, or a key in a KMS as in Signer.Key.
	Key string
	// Identity is the certificate's subject, to the letter: in GitHub Actions, the
	// URL of the workflow file with its ref, such as
	// "https://github.com/acme/filters/.github/workflows/release.yml@refs/tags/v1.4.0".
	Identity string
	// Issuer vouches for the identity, such as
	// "https://token.actions.githubusercontent.com".
	Issuer string
	// Repository is the repository whose workflow run signed, such as
	// "https://github.com/acme/filters". Repositories that call the same reusable
	// workflow sign with the same Identity, and this tells them apart. Default: any.
	Repository string
	// TrustedRoot is a file with the certificates and keys of a private sigstore.
	// Default: those of the public one, fetched by TUF.
	//
	// Reference: https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_trustroot.proto
	TrustedRoot string
}

// IsZero reports whether no signatures count.
func (p Policy) IsZero() bool { return p.Key == "" && p.Identity == "" && p.Issuer == "" }

// Request is what the programs below sigstore read from standard input, as JSON. One of
// its two fields is set. It contains no secrets: the programs inherit the environment.
type Request struct {
	Sign   *SignRequest   `json:",omitempty"`
	Verify *VerifyRequest `json:",omitempty"`
}

// SignRequest asks for a bundle for each statement.
type SignRequest struct {
	Signer Signer
	// Policy says which existing bundles count. Default: with a key, those that it
	// signed; without, none.
	Policy Policy
	Items  []SignItem
}

// SignItem is a statement to sign.
type SignItem struct {
	// Statement is the statement, as JSON.
	Statement []byte
	// SubjectDigest is the subject that existing bundles must have, "sha256:…": a manifest, or
	// a module.
	SubjectDigest string
	// Existing are bundles that may make the same statement already.
	Existing []json.RawMessage
}

// VerifyRequest asks whether bundles satisfy the policy.
type VerifyRequest struct {
	Policy Policy
	Items  []VerifyItem
}

// VerifyItem is a bundle that should be about a manifest or a module.
type VerifyItem struct {
	// SubjectDigest is the digest of that, "sha256:…".
	SubjectDigest string
	Bundle        json.RawMessage
}

// Response is the answer on standard output. Messages for people go to standard error.
type Response struct {
	// Bundles answer a SignRequest, one for each item; null if an existing bundle makes
	// the same statement.
	Bundles []json.RawMessage `json:",omitempty"`
	// PublicKey is the public key of the signatures, as PEM; empty if they are keyless.
	PublicKey string `json:",omitempty"`
	// Results answer a VerifyRequest, one for each item.
	Results []VerifyResult `json:",omitempty"`
	// Error is the error that happened. Empty: all went well.
	Error string `json:",omitempty"`
	// ErrorKinds name the kinds of that error: see Err.
	ErrorKinds []string `json:",omitempty"`
}

// VerifyResult is the result for one bundle.
type VerifyResult struct {
	// PredicateType is the type that the bundle claims to have, even if it is not valid.
	PredicateType string
	// Statement is the signed statement; empty if the bundle is not valid.
	Statement []byte
	// Signer says who signed, for people; empty for a key.
	Signer string
	// Problem says why the bundle is not valid; empty if it is.
	Problem string
}
