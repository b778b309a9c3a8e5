module github.com/slipway-wasm/slipway/test/bench/filters

go 1.22

replace github.com/slipway-wasm/slipway/filter => ../../../filter

require (
	github.com/slipway-wasm/slipway/filter v0.0.0-00010101000000-000000000000
	github.com/tetratelabs/proxy-wasm-go-sdk v0.24.0
)
