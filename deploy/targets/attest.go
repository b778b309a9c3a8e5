package targets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/config"
	"github.com/slipway-wasm/slipway/deploy/oci"
)

// Attest attaches SBOMs to what was pushed under a version and signs it, with its provenance.
//
// Example:
//
//	REGISTRY=ghcr.io/acme/filters SIGN_KEY=cosign.key go tool mage attest 1.4.0
func Attest(ctx context.Context, version string, json *bool) error {
	return do(json, func(c config.Config, out Output) error {
		return attestVersion(ctx, c, version, out)
	})
}

// rehearsalKey is the public half of the key that signed in the embedded registry.
// Nobody has the other half.
var rehearsalKey = filepath.Join(dist, "rehearsal.pub")

// attestVersion attaches bills of materials, and signs what is published of a version: see
// attest.Sign. What it signs has to be what is in dist/.
func attestVersion(ctx context.Context, c config.Config, version string, out Output) error {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	if _, ok := configuredSigner(c); !ok {
		return fmt.Errorf("attest %s: %w", version, attest.ErrNoSigner)
	}
	r, done, err := openRegistry(ctx, c, "", out)
	if err != nil {
		return err
	}
	attached, err := attestIn(ctx, c, version, r)
	if err = errors.Join(err, done()); err != nil {
		return err
	}
	return out.print(attached, func(w io.Writer) error {
		for _, a := range attached {
			fmt.Fprintln(w, a)
		}
		return nil
	})
}

// attestIn attaches bills of materials to what a registry has of a version, and
// signs it. Where nobody can sign, the error is attest.ErrNoSigner, and the bills are
// attached.
func attestIn(ctx context.Context, c config.Config, version string, r *oci.Registry) ([]attest.Attached, error) {
	fail := func(err error) ([]attest.Attached, error) {
		return nil, fmt.Errorf("attest %s: %w", version, err)
	}
	built, err := readBuilt(ctx, c)
	if err != nil {
		return fail(err)
	}
	release, err := built.release(ctx, version)
	if err != nil {
		return fail(err)
	}
	if _, err := oci.AttachSBOMs(ctx, r, built.filters, release); err != nil {
		return nil, err
	}
	signer, ok := configuredSigner(c)
	if !ok {
		return fail(attest.ErrNoSigner)
	}
	builder, err := attest.FindBuilder(ctx)
	if err != nil {
		return fail(err)
	}
	opts := attest.SignOptions{Registry: r, Release: release, Builder: builder, Signer: signer, Policy: policy(c)}
	for i, filter := range built.filters {
		opts.Filters = append(opts.Filters, attest.Filter{Filter: filter, Dir: built.sources[i].Dir})
	}
	return sign(ctx, opts)
}

// sign signs, and in a rehearsal keeps the public key for Verify.
func sign(ctx context.Context, opts attest.SignOptions) ([]attest.Attached, error) {
	if !opts.Signer.Rehearsal {
		signed, err := attest.Sign(ctx, opts)
		return signed.Attached, err
	}
	// A key that is gone cannot sign what is missing beside what it signed: all of
	// it counts, or all is signed anew.
	if !opts.Policy.IsZero() {
		var names []string
		for _, f := range opts.Filters {
			names = append(names, f.Module.Name)
		}
		checks, err := attest.Verify(ctx, attest.VerifyOptions{Registry: opts.Registry, Filters: names, Version: opts.Release.Version, Policy: opts.Policy})
		if err == nil {
			err = attest.Undecided(checks)
		}
		if err != nil {
			return nil, err
		}
		if attest.Failed(checks) != nil {
			opts.Policy = attest.Policy{}
		}
	}
	signed, err := attest.Sign(ctx, opts)
	if err == nil && opts.Policy.IsZero() {
		err = renameio.WriteFile(rehearsalKey, []byte(signed.PublicKey), 0o644, renameio.IgnoreUmask())
	}
	return signed.Attached, err
}

// configuredSigner is who signs as configured; false if nobody does.
func configuredSigner(c config.Config) (attest.Signer, bool) {
	signer := attest.Signer{
		Key:          c.SignKey,
		FulcioURL:    c.FulcioURL,
		RekorURL:     c.RekorURL,
		TimestampURL: c.TimestampURL,
		TrustedRoot:  c.TrustedRoot,
	}
	// What nobody else can read is not written into a public log.
	signer.Rehearsal = c.SignKey == "" && c.Registry == ""
	return signer, c.SignKey != "" || signer.Rehearsal || attest.HasIdentity()
}

// policy is whose signatures count as configured.
func policy(c config.Config) attest.Policy {
	p := attest.Policy{Key: c.VerifyKey, Identity: c.VerifyIdentity, Issuer: c.VerifyIssuer, Repository: c.VerifyRepository, TrustedRoot: c.TrustedRoot}
	if p.IsZero() && c.Registry == "" {
		if _, err := os.Stat(rehearsalKey); err == nil {
			p.Key = rehearsalKey
		}
	}
	return p
}
