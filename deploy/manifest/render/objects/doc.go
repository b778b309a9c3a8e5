// Package objects makes the objects that run a published filter. It uses the Go types of the
// objects' own APIs, and writes YAML.
//
// It is separate from its caller because those types are heavy, and because Istio's own code
// checks its output in tests: it is a pure function from a filter.yaml and a release to files.
package objects
