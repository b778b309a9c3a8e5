// Package filters tests that Slipway can be used from another repository: this
// folder is one, with a filter and a magefile of its own.
package filters
