module example.com/acme/filters/filter

go 1.22

require (
	github.com/slipway-wasm/slipway/filter v0.0.0
	github.com/tetratelabs/proxy-wasm-go-sdk v0.24.0
)

require github.com/tetratelabs/wazero v1.7.2 // indirect

// Only because this repository is inside of Slipway's.
replace github.com/slipway-wasm/slipway/filter => ../../../filter
