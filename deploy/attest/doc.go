// Package attest says, signed, what a published filter is: a signature, a SLSA
// provenance and a bill of materials, each an in-toto statement about the manifest
// digest in a sigstore bundle that is attached to the manifest. It also checks them.
//
// cosign, gh and admission controllers read the same bundles: their form and their
// place are those of "cosign sign" and "cosign attest" since version 3, which are
// OCI referrers.
//
// The cryptography, and with it Fulcio, Rekor, TUF and the KMS' SDKs, is in the
// programs below sigstore, a module of their own. This package makes the
// statements, speaks to the registry, and judges what the statements say.
//
// References:
//   - https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_bundle.proto
//   - https://github.com/sigstore/cosign/blob/v3.1.3/specs/BUNDLE_SPEC.md
//   - https://github.com/in-toto/attestation/blob/main/spec/v1/README.md
package attest
