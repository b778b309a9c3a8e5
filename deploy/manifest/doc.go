// Package manifest renders the manifests that a cluster needs to run a published filter:
// Istio's WasmPlugin, TrafficExtension and EnvoyFilter, Envoy Gateway's EnvoyExtensionPolicy,
// a bootstrap for plain Envoy, and an httpbin to try the filter on.
//
// It exists because most people make their mistakes in this last step: they confuse the
// manifest digest with the wasm sha256, write half of an ECDS pair, or do not notice that a
// filter fails open. The result depends on two things only: the section "apply" of a filter's
// filter.yaml (see catalog.Apply), and the facts of a release (see Source). The facts are read
// from where proxies will read, never from a local build.
//
// This package checks the input, runs the program that makes the objects, and writes the
// result. That program is the module render below this folder. It is separate because it uses
// the APIs' own Go types, which are ten times the size of everything else that a target needs.
package manifest
