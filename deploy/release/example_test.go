package release_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/release"
)

// Release takes filters all the way, and goes on where an earlier run was
// interrupted. What tests and plays them is the caller's.
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
		Version: "1.4.0",
		Stores: func(context.Context, io.Writer) (*release.Stores, error) {
			registry, err := oci.Open(oci.RegistryOptions{Address: "ghcr.io/acme/filters"})
			return &release.Stores{Registry: registry}, err
		},
		Test: func(_ context.Context, dist string, out io.Writer) error {
			fmt.Fprintln(out, "test the modules in", dist)
			return nil
		},
		E2E: func(_ context.Context, dist string, _ []string, out io.Writer) (release.Played, error) {
			fmt.Fprintln(out, "play the modules in", dist)
			return release.Played{}, nil
		},
		Out: os.Stdout,
	}
}
