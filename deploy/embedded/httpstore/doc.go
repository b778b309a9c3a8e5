// Package httpstore is an HTTP storage for modules within the process: a folder
// and a server that hands its files out as proxies need them.
//
// It exists so that everything that fetches by URL and sha256 can be tried and
// tested without a storage of one's own, with real HTTP on a real socket. It
// serves the raw bytes, never compressed: plain Envoy hashes the body it
// receives, Istio what is left after decompression, and only raw bytes have one
// sum for both.
package httpstore
