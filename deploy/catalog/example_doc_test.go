package catalog_test

import (
	"fmt"
	"log"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// Load finds the filters of this repository.
func ExampleLoad() {
	filters, err := catalog.Load(catalog.LoadOptions{Dir: "../../filter", Names: []string{"headers", "requestlog"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range filters {
		fmt.Println(f.Name, f.Metadata.License)
	}
	// Output:
	// headers Apache-2.0
	// requestlog Apache-2.0
}

// An invalid name is refused, and the error names the rule that it breaks.
func ExampleCheckName() {
	fmt.Println(catalog.CheckName("2fa"))
	fmt.Println(catalog.CheckName("two-factor"))
	// Output:
	// filter name "2fa": it does not start with a letter, as a Kubernetes name must (RFC 1035)
	// <nil>
}

func ExampleNames() {
	fmt.Printf("%q\n", catalog.Names("headers, authtoken"))
	// Output: ["headers" "authtoken"]
}

func ExampleReadMetadata() {
	metadata, err := catalog.ReadMetadata("../../filter/headers/filter.yaml")
	if err != nil {
		log.Fatal(err)
	}
	configuration, err := metadata.ExampleConfiguration()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(metadata.Title, configuration)
	// Output: Headers {"request":{"set":{"x-my-custom-header":"hello world"}}}
}
