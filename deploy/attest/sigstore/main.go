// Command sigstore signs statements and verifies bundles. It reads an attest.Request as
// JSON from standard input and writes an attest.Response to standard output. Package
// attest runs it: see there. It touches no registry, and reads no files but keys and
// trusted roots.
//
// It is a program of its own because it links so much. The program in kms is the same
// with the SDKs of the clouds' key services.
package main

import (
	"os"

	"github.com/slipway-wasm/slipway/deploy/attest/sigstore/signing"
)

func main() { os.Exit(signing.Main()) }
