// Package mesh rolls filters out in a mesh of plain processes: Istio's control plane
// within the test, its unmodified agent with a real Envoy as each workload's sidecar,
// and httpbin behind it. The scenarios are in package test/rollout.
//
// It exists because only Istio shows what Istio does with a manifest and an artifact,
// and because nobody runs a test that needs a cluster. All of Istio is real here except
// its Kubernetes client.
//
// Its tests have the build tag mesh, because "go tool mage mesh" runs them, and not
// "go tool mage test".
package mesh
