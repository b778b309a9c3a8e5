// Package importer tests what Slipway does in a repository that has filters of its own
// and requires Slipway as a module. The tests write that repository into a temporary
// folder: its magefile is the one in README.md, and its filter is in testdata.
package importer
