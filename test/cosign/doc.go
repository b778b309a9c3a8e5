// Package cosign holds the tests that ask the real cosign, built from its module,
// whether it accepts what Slipway signs, and Slipway whether it accepts what cosign
// signs.
//
// It is a module of its own because cosign links the SDKs of every cloud.
package cosign
