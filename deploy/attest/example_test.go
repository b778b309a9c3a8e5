package attest_test

import (
	"context"
	"log"
	"os"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Sign signs what was pushed, with a cosign key.
func ExampleSign() {
	ctx := context.Background()
	registry, err := oci.Open(oci.RegistryOptions{Address: "ghcr.io/acme/filters"})
	if err != nil {
		log.Fatal(err)
	}
	builder, err := attest.FindBuilder(ctx)
	if err != nil {
		log.Fatal(err)
	}
	release, err := build.ReadRelease(ctx, build.ReleaseOptions{Version: version.MustParse("1.4.0")})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := attest.Sign(ctx, attest.SignOptions{
		Registry: registry,
		Release:  *release,
		Builder:  builder,
		Signer:   attest.Signer{Key: "cosign.key"},
	}); err != nil {
		log.Fatal(err)
	}
}

// Verify checks what is attached against one key, and Failed says what is wrong.
func ExampleVerify() {
	registry, err := oci.Open(oci.RegistryOptions{Address: "ghcr.io/acme/filters"})
	if err != nil {
		log.Fatal(err)
	}
	checks, err := attest.Verify(context.Background(), attest.VerifyOptions{
		Registry: registry,
		Filters:  []string{"headers"},
		Version:  version.MustParse("1.4.0"),
		Policy:   attest.Policy{Key: "cosign.pub"},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := attest.WriteChecks(os.Stdout, checks); err != nil {
		log.Fatal(err)
	}
	if err := attest.Failed(checks); err != nil {
		log.Fatal(err)
	}
}
