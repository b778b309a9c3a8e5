// Package envoy finds a real Envoy, runs it through func-e's library, and lets
// a test or an example look at what it does: admin interface, statistics, log.
//
// It exists because a proxy-wasm filter is only proven by the proxy that will
// run it, and because an end-to-end test is only run if it needs no set-up:
// [Find] gets an Envoy with nothing but Go (and, where func-e's server cannot
// be reached, Python) on the machine, [Start] leaves nothing running whatever
// happens to the test.
package envoy
