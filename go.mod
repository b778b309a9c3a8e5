module github.com/slipway-wasm/slipway

go 1.26.2

tool github.com/magefile/mage

require github.com/magefile/mage v1.17.2 // indirect
