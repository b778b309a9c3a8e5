// Package cosign holds the tests that ask the real cosign, built from its module,
// whether it accepts what Slipway signs, and Slipway whether it accepts what cosign
// signs.
package cosign
