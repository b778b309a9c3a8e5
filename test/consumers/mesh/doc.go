// Package mesh rolls filters out in a mesh of plain processes: Istio's control
// plane within the test, its unmodified agent with a real Envoy as each workload's
// sidecar, and httpbin behind it. What is played is in package test/rollout.
//
// It exists because nothing but Istio shows what Istio does with a manifest and an
// artifact, and because a test that needs a cluster is not run. Of Istio only the
// Kubernetes client is not the real one.
//
// Its tests have the build tag mesh, because "go tool mage mesh" runs them, and not
// "go tool mage test".
package mesh
