// Package oci publishes filters in OCI registries and reads them back.
//
// A mesh pulls a filter by its reference and fails closed when the manifest has a
// shape that its fetcher does not know, or when a tag moved. So this package
// builds manifests as each consumer's source wants them (image.go, consumers.go),
// writes version tags once and never again, in an order in which a crash leaves
// nothing half-published (push.go, move.go), and checks from the registry alone
// what is there (verify.go).
//
// Two values are both called sha256 elsewhere and never share a name here: the
// manifest digest ("sha256:…"), which is what a registry serves and what an oci://
// URL is pinned to, and the wasm sha256 (plain hex), which is the sum of the
// module itself. In the artifact shape the digest of the wasm layer is the wasm
// sha256.
package oci
