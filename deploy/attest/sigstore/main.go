// Command sigstore signs statements and verifies bundles: it reads an
// attest.Request as JSON from its standard input and writes an attest.Response to
// its standard output. It is run by package attest, which see. It touches no
// registry, and no file but keys and trusted roots.
//
// It is a program of its own because of what it links. The one in kms is the same
// with the SDKs of the clouds' key services.
package main

import (
	"os"

	"github.com/slipway-wasm/slipway/deploy/attest/sigstore/signing"
)

func main() { os.Exit(signing.Main()) }
