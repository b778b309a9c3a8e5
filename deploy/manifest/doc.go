// Package manifest renders what a cluster applies to run a published filter:
// Istio's WasmPlugin, TrafficExtension and EnvoyFilter, Envoy Gateway's
// EnvoyExtensionPolicy, a bootstrap for plain Envoy, and an httpbin to try it on.
//
// It exists because the last step is where most people trip: the manifest digest
// and the wasm sha256 taken for one another, half of an ECDS pair, a filter that
// fails open unnoticed. What is rendered follows from two things only: the section
// "apply" of a filter's filter.yaml (see catalog.Apply) and the facts of a release
// (see Source), which are read from where proxies will read, never from a local
// build.
//
// This package checks, starts the work and writes the result. The objects are
// made with the APIs' own Go types in the module render below this folder, a
// program of its own, because those types are ten times the size of everything
// else that a target needs.
package manifest
