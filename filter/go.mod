module github.com/slipway-wasm/slipway/filter

go 1.22

require github.com/tetratelabs/proxy-wasm-go-sdk v0.24.0
