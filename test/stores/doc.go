// Package stores tests uploads to real stores: an S3 server (versitygw),
// fake-gcs-server, Azurite, nginx and Apache with WebDAV, and a folder.
//
// They are processes on this machine: package server starts them, and they end with the
// tests. Two of them are Go programs. They are tools of this module, which is a module
// of its own for that reason. nginx and Apache come from the system's packages, Azurite
// from npm.
//
// Folder registry has one more such program, for the tests of deploy/oci.
package stores
