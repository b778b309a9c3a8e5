// Package envoy finds a real Envoy, runs it through func-e's library, and gives a test or an
// example access to its admin interface, its statistics and its log.
//
// It exists because only the proxy that will run a filter can prove that the filter works, and
// because people only run an end-to-end test that needs no set-up. [Find] gets an Envoy on a
// machine with nothing but Go (and Python, where func-e's server cannot be reached). [Start]
// leaves nothing running, whatever happens to the test.
package envoy
