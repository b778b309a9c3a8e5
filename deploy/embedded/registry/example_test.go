package registry_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/slipway-wasm/slipway/deploy/embedded/registry"
)

// The registry keeps its content in a folder and speaks the OCI distribution API.
func ExampleStart() {
	dir, err := os.MkdirTemp("", "slipway-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	server, err := registry.Start(context.Background(), registry.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	res, err := http.Get("http://" + server.Addr() + "/v2/")
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	fmt.Println(res.Status)
	// Output: 200 OK
}
