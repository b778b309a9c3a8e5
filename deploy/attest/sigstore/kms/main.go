// Command kms is command sigstore for keys in AWS KMS, Google Cloud KMS, Azure Key
// Vault and HashiCorp Vault or OpenBao. Their SDKs take minutes to compile. They read
// credentials from the environment.
//
// Reference: https://docs.sigstore.dev/cosign/key_management/overview/
package main

import (
	"os"

	_ "github.com/sigstore/sigstore/pkg/signature/kms/aws"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/azure"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/gcp"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault"

	"github.com/slipway-wasm/slipway/deploy/attest/sigstore/signing"
)

func main() { os.Exit(signing.Main()) }
