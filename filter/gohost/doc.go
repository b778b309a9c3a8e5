// Package gohost lets a filter written with proxy-wasm-go-sdk be built by the
// ordinary Go compiler.
//
// The SDK is made for TinyGo: it exports its callbacks with TinyGo's //export and
// declares the host's functions as bodyless TinyGo imports. For every other compiler it
// only has a host interface, which its test emulator implements. This package closes
// the gap for GOOS=wasip1 GOARCH=wasm. It exports the callbacks of proxy-wasm ABI 0.2.0
// with //go:wasmexport, imports the host's functions with //go:wasmimport, and
// registers them in the emulator's place. A filter takes part by a blank import in its
// main package:
//
//	import _ "github.com/slipway-wasm/slipway/filter/gohost"
//
// and is built as a WASI reactor:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o filter.wasm .
//
// A reactor's main function never runs: call proxywasm.SetVMContext in an init
// function, which both compilers run.
//
// With TinyGo, and in native tests, the package is empty.
//
// Source of the signatures:
// https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.0
package gohost
