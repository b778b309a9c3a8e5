package httpstore_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
)

// A file in the folder is served under its path.
func ExampleServe() {
	dir, err := os.MkdirTemp("", "slipway-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	server, err := httpstore.Serve(httpstore.ServeOptions{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	if err := os.WriteFile(filepath.Join(dir, "headers.wasm"), []byte("the module"), 0o644); err != nil {
		log.Fatal(err)
	}
	res, err := http.Get(server.URL("headers.wasm"))
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Header.Get("Content-Type"), string(body))
	// Output: application/wasm the module
}
