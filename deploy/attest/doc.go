// Package attest makes and checks signed statements about published filters: a
// signature, a SLSA provenance, a bill of materials and a test result. Each is an
// in-toto statement about the manifest digest, in a sigstore bundle that is attached to
// the manifest.
//
// cosign, gh and admission controllers read the same bundles. Their format is that of
// "cosign sign" and "cosign attest" since version 3, and like those they are OCI
// referrers.
//
// The programs below sigstore, a Go module of their own, do the cryptography. They link
// Fulcio, Rekor, TUF and the KMS SDKs. This package makes the statements, speaks to the
// registry, and judges what the statements say.
//
// References:
//   - https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_bundle.proto
//   - https://github.com/sigstore/cosign/blob/v3.1.3/specs/BUNDLE_SPEC.md
//   - https://github.com/in-toto/attestation/blob/main/spec/v1/README.md
package attest
