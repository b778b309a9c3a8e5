// Package storage puts each version of a filter into an object store or behind a web server,
// where proxies fetch it by URL and sha256. It also reads the version back as proxies do.
//
// Plain Envoy and many meshes have no OCI client. They need an address whose bytes never
// change, and a sum to compare the bytes with. So every module is written once and never
// again. Its checksum is written after it: if the checksum is there, the version is complete.
// At the end everything is fetched from the readers' address without credentials.
//
// The layout below the storage's address:
//
//	<filter>/<version>/<filter>.wasm         the module, never compressed
//	<filter>/<version>/<filter>.wasm.sha256  its sum, for sha256sum -c
//	<version>/SHA256SUMS                     the sums of all filters of a release
//	<filter>/index.json                      the versions of a filter: see Index
//
// The module and its checksum never change. The other two grow, by conditional writes, so that
// releases that run at the same time keep each other's lines.
//
// Bucket hides what differs between stores. Folders and HTTP servers are in this package. The
// clouds are in the module cloud below this folder, a separate program, because their SDKs are
// a hundred times the size of everything else.
package storage
