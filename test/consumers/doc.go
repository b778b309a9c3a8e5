// Package consumers holds the tests that use the code of Slipway's consumers: Istio,
// Envoy Gateway and cosign. That code judges what Slipway publishes and renders. Each
// folder below has the tests of one kind of product.
//
// It is a module of its own because it links a lot: Istio alone compiles for several
// minutes the first time. It is one module because the tests share most of that.
package consumers
