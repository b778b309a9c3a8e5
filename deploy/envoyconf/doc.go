// Package envoyconf builds plain Envoy bootstraps that run proxy-wasm filters: listeners, each
// with an HTTP connection manager, filters in order and the router, and one upstream behind
// all of them.
//
// It exists because several parts of Slipway need the same configuration: the end-to-end
// tests, the commands that a person runs, the benchmark and the rendered manifests. A
// configuration that Envoy refuses at start is found too late. So everything is built from
// go-control-plane's typed messages, and validated by the rules that Envoy itself applies. It
// is also checked for mistakes that those rules let through: a sha256 in capitals never
// matches, and a relative URL is never fetched.
//
// Only fields that Envoy 1.36 to 1.40 share are used.
package envoyconf
