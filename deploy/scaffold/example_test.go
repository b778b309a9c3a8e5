package scaffold_test

import (
	"fmt"

	"github.com/slipway-wasm/slipway/deploy/scaffold"
)

// An invalid name is refused before anything is written.
func ExampleNew() {
	_, err := scaffold.New(scaffold.NewOptions{Name: "My_Filter", Dir: "../../filter"})
	fmt.Println(err)
	// Output: new filter: filter name "My_Filter": it has capital letters, which an OCI repository and a Kubernetes name may not have; write my_filter
}
