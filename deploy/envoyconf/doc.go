// Package envoyconf builds plain Envoy bootstraps that run proxy-wasm filters:
// listeners, in each an HTTP connection manager with filters in order and the
// router, and behind all of them one upstream.
//
// It exists because four parts of Slipway need the same configuration (the
// end-to-end test, the example that a person runs, the benchmark, the rendered
// manifests) and because a configuration that Envoy refuses at start is found
// too late: everything is built from go-control-plane's typed messages,
// validated by the rules that Envoy itself applies, and checked for what those
// rules let through (a sha256 in capitals never matches, a relative URL is
// never fetched).
//
// Only fields that Envoy 1.36 to 1.40 share are used.
package envoyconf
