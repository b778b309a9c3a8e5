package build_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// Build compiles the filters of a repository to its dist/.
func ExampleBuild() {
	filters, err := catalog.Load(catalog.LoadOptions{Dir: "filter", Names: []string{"headers"}})
	if err != nil {
		log.Fatal(err)
	}
	modules, err := build.Build(context.Background(), build.Options{Filters: filters, Out: os.Stdout})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range modules {
		fmt.Println(m.Path, m.Size, m.WasmSHA256)
	}
}

// Load reads back the modules of an earlier Build, and makes sure that they did not change.
func ExampleLoad() {
	modules, err := build.Load("dist", []string{"headers"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(modules[0].Compiler.Name, modules[0].EnvoyMin)
}

// Find chooses TinyGo if it is installed and Go otherwise, unless a compiler is named.
func ExampleFind() {
	if _, err := build.Find(build.Go, "", ""); err != nil {
		log.Fatal(err)
	}
	_, err := build.Find("gccgo", "", "")
	fmt.Println(err)
	// Output: compiler "gccgo" is not known; the compilers are go and tinygo
}
