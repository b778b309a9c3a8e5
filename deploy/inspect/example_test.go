package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
)

// module imports a function that only some Envoy versions offer.
func module() []byte {
	options := wasmtest.Filter()
	options.Imports = []wasmtest.Func{{Module: "wasi_snapshot_preview1", Name: "sched_yield", Signature: ":i"}}
	return wasmtest.Encode(options)
}

// Check is for a module that you are about to publish.
func ExampleCheck() {
	report, err := inspect.Check(context.Background(), module(), inspect.StartOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.ABI, "from Envoy", report.EnvoyMin)

	_, err = inspect.Check(context.Background(), wasmtest.Encode(wasmtest.Options{}), inspect.StartOptions{})
	fmt.Println(errors.Is(err, inspect.ErrWouldNotLoad))
	// Output:
	// 0.2.0 from Envoy 1.33
	// true
}

// Module reports, and does not judge.
func ExampleModule() {
	report, err := inspect.Module(context.Background(), module())
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range report.Imports {
		fmt.Println(f.Module, f.Name, f.Signature)
	}
	fmt.Println(len(report.Exports), report.Problems())
	// Output:
	// wasi_snapshot_preview1 sched_yield () -> (i32)
	// 4 []
}

// Describe explains a module to a person.
func ExampleDescribe() {
	d, err := inspect.Describe(context.Background(), module())
	if err != nil {
		log.Fatal(err)
	}
	for _, envoys := range d.Envoys {
		fmt.Println(envoys.Versions(), envoys.Loads, envoys.Reasons)
	}
	// Output:
	// 1.26 to 1.32 false [missing import: wasi_snapshot_preview1.sched_yield: Envoy offers it from 1.33 on]
	// 1.33 and later true []
}

// File does what Check does, and does not hold the file's debug information in memory.
func ExampleFile() {
	dir, err := os.MkdirTemp("", "slipway-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "headers.wasm")
	if err := os.WriteFile(path, module(), 0o600); err != nil {
		log.Fatal(err)
	}
	report, err := inspect.File(context.Background(), path, inspect.StartOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.ABI)
	// Output: 0.2.0
}

// Offered lists what a module may import.
func ExampleOffered() {
	for _, f := range inspect.Offered("1.36", "0.2.0")[:2] {
		fmt.Println(f.Module, f.Name, f.Signature)
	}
	// Output:
	// env emscripten_notify_memory_growth (i32) -> ()
	// env proxy_add_header_map_value (i32, i32, i32, i32, i32) -> (i32)
}

// Fetch fetches a module as a proxy would.
func ExampleFetch() {
	fetched, err := inspect.Fetch(context.Background(), "https://cdn.acme.example/filters/headers/1.4.0/headers.wasm")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(fetched.Wasm), fetched.Packed)
}
