package verify_test

import (
	"context"
	"log"
	"os"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/verify"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Version verifies a release in a registry and a storage at once.
func ExampleVersion() {
	registry, err := oci.Open(oci.RegistryOptions{Address: "ghcr.io/acme/filters"})
	if err != nil {
		log.Fatal(err)
	}
	public, err := storage.OpenPublic("https://cdn.acme.example/filters", storage.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer public.Close()
	found, err := verify.Version(context.Background(), verify.Options{
		Filters:  []string{"headers"},
		Version:  version.MustParse("1.4.0"),
		Registry: registry,
		Storage:  public,
		Policy:   attest.Policy{Key: "cosign.pub"},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := attest.WriteChecks(os.Stdout, found.Checks); err != nil {
		log.Fatal(err)
	}
}
