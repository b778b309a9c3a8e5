// Package consumers holds the tests in which the code of those that consume what
// Slipway publishes and renders judges it: Istio, Envoy Gateway and cosign. Each
// folder below has the tests of one kind of product.
//
// It is a module of its own because what it links is large: Istio alone compiles for
// several minutes the first time. It is one module because they share most of that.
package consumers
