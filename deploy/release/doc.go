// Package release takes a version from a commit to everything that proxies pull, in an
// order that leaves nothing half published. It looks before it works, tests exactly the
// bytes that it publishes, and moves no tag to a version before all of it was read back
// from the outside.
//
// A release can be interrupted anywhere and run again: it confirms what is there,
// does what is missing, and ends in the same record. What was published is never
// changed.
package release
