// Package objects makes the objects that run a published filter, with the Go types
// of the APIs that they belong to, and writes them as YAML.
//
// It exists apart from its caller because those types are heavy, and because it is
// what Istio's own code judges: a pure function from a filter.yaml and a release
// to files.
package objects
