// Package httpstore is an HTTP storage for modules inside the process: a folder, and a server
// that serves its files as proxies need them.
//
// It exists so that everything that fetches by URL and sha256 can be tried and tested without
// another storage, with real HTTP on a real socket. It serves the raw bytes, never compressed.
// Plain Envoy hashes the body that it receives; Istio hashes the result of decompression. Only
// raw bytes have the same sum for both.
package httpstore
