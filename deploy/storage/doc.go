// Package storage puts each version of a filter into an object store or behind a
// web server, where proxies fetch it by URL and sha256, and reads it back the way
// they do.
//
// Plain Envoy and many meshes have no OCI client. What they need is an address
// whose bytes never change, and a sum to compare them with. So every object is
// written once and never again, the checksum after the module, which makes its
// presence mean that the version is complete, and after that everything is fetched
// from the readers' address without credentials.
//
// The layout below the storage's address:
//
//	<filter>/<version>/<filter>.wasm         the module, never compressed
//	<filter>/<version>/<filter>.wasm.sha256  its sum, for sha256sum -c
//	<version>/SHA256SUMS                     the sums of all filters of a release
//	<filter>/index.json                      the versions of a filter: see Index
//
// The first two never change. The last two grow, by conditional writes, so that
// releases that run at the same time keep each other's lines.
//
// What differs between stores is behind Bucket. A folder and HTTP are here; the
// clouds' are in the module cloud below this folder, which is a program of its
// own, because their SDKs are a hundred times the size of everything else.
package storage
