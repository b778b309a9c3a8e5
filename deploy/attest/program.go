package attest

import (
	"context"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/gorun"
)

// module is the folder of the programs that sign and verify.
const module = "deploy/attest/sigstore"

// run runs a program below sigstore. If a key is in a KMS, it is the one that links the
// KMS SDKs, which takes minutes to compile.
func run(ctx context.Context, request Request) (Response, error) {
	var keys []string
	if request.Sign != nil {
		keys = append(keys, request.Sign.Signer.Key, request.Sign.Policy.Key)
	}
	if request.Verify != nil {
		keys = append(keys, request.Verify.Policy.Key)
	}
	pkg := "."
	for _, key := range keys {
		if strings.Contains(key, "://") && !strings.HasPrefix(key, "env://") {
			pkg = "./kms"
		}
	}
	// Clouds' key services, sigstore and CI systems read variables that no list could hold.
	var response Response
	if err := gorun.Run(ctx, module, pkg, request, &response, "*"); err != nil {
		return Response{}, err
	}
	if err := response.Err(); err != nil {
		return Response{}, err
	}
	return response, nil
}
