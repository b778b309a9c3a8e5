package release_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Release takes filters through all steps. After an interruption, it goes on from
// there.
func ExampleRelease() {
	record, err := release.Release(context.Background(), options())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(record.Version, len(record.Filters))
}

// Preview says what Release would do, and changes nothing.
func ExamplePreview() {
	if err := release.Preview(context.Background(), options()); err != nil {
		log.Fatal(err)
	}
}

// ReadRecord reads what Release left in dist/.
func ExampleReadRecord() {
	record, err := release.ReadRecord("dist/release.json")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(record.Version)
}

func options() release.Options {
	return release.Options{
		Version:  version.MustParse("1.4.0"),
		Registry: &oci.RegistryOptions{Address: "ghcr.io/acme/filters"},
		Out:      os.Stdout,
	}
}
