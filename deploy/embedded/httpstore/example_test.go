package httpstore_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
)

// What was put is served under its key, and never changes.
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
	object, err := server.Put("headers/1.4.0/headers.wasm", strings.NewReader("the module"))
	if err != nil {
		log.Fatal(err)
	}
	res, err := http.Get(server.URL(object.Key))
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Header.Get("Content-Type"), string(body), object.SHA256[:8])
	// Output: application/wasm the module 27b79e09
}

// Open is the same without a server, for a handler of one's own.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "slipway-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := httpstore.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	http.Handle("/filters/", http.StripPrefix("/filters", store))
	_, err = store.Stat("headers/1.4.0/headers.wasm")
	fmt.Println(err != nil)
	// Output: true
}
