// Package oci publishes filters in OCI registries and reads them back.
//
// A mesh pulls a filter by its reference. It fails closed if the manifest has a shape
// that its fetcher does not know, or if a tag moved. So this package builds manifests
// as each consumer's source wants them (image.go, consumers.go). It writes a version
// tag once and never changes it, in an order in which a crash leaves nothing
// half-published (push.go, move.go). And it checks what is published from the registry
// alone (verify.go).
//
// Other tools call two values sha256, and this package never gives them the same name.
// The manifest digest ("sha256:…") is what a registry serves and what an oci:// URL is
// pinned to. The wasm sha256 (plain hex) is the sum of the module itself. In the
// artifact shape, the digest of the wasm layer is the wasm sha256.
package oci
