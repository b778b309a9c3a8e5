// Package cosign tests that the real cosign, built from its module, accepts what
// Slipway signs, and that Slipway accepts what cosign signs.
package cosign
