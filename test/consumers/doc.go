// Package consumers is where what Slipway publishes and renders is judged by the
// code of those that consume it. It has no code of its own: each consumer's tests
// are in a folder below.
//
// It is a module of its own because Istio's is large: its first build takes
// several minutes.
package consumers
