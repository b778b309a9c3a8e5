package targets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/attest/stored"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// Attest attaches SBOMs to what was published under a version and signs it, in the registry and in the storage, with its provenance and with what e2e played.
//
// Example:
//
//	REGISTRY=ghcr.io/acme/filters SIGN_KEY=cosign.key go tool mage attest 1.4.0
func Attest(ctx context.Context, version string, json *bool) error {
	return do(json, func(c variables.Values, out Output) error {
		return attestVersion(ctx, c, version, out)
	})
}

// signPublished signs what is in the configured registry and storage; without any configuration,
// what is in the embedded ones.
func signPublished(ctx context.Context, c variables.Values, opts attest.SignOptions, out Output) (signed attest.Signed, err error) {
	if c.Registry != "" || embeddedOnly(c) {
		r, done, err := openRegistry(ctx, c, "", out)
		if err != nil {
			return attest.Signed{}, err
		}
		defer func() { err = errors.Join(err, done()) }()
		opts.Registry = r
	}
	if c.StorageURL == "" && !embeddedOnly(c) {
		return attest.Sign(ctx, opts)
	}
	s, err := openStorage(c, out)
	if err != nil {
		return attest.Signed{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	signed, err = stored.Sign(ctx, s, opts)
	if errors.Is(err, storage.ErrNotFound) && opts.Registry != nil {
		printable.Fprintf(out.Err, "nothing is signed in the storage, because this version is not there: %v\n", err)
		return attest.Sign(ctx, opts)
	}
	if err != nil {
		return attest.Signed{}, fmt.Errorf("attest %s: %w", opts.Release.Version, err)
	}
	return signed, nil
}

// rehearsalKey is the public key of signatures in the embedded registry. The private
// key is never stored.
var rehearsalKey = filepath.Join(dist, rel.RehearsalKey)

// attestVersion signs the version that is in dist/: see attest.Sign. The test result is that of
// the last e2e.
func attestVersion(ctx context.Context, c variables.Values, text string, out Output) error {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	signer, err := configuredSigner(c)
	if err == nil && signer == nil {
		err = attest.ErrNoSigner
	}
	if err != nil {
		return fmt.Errorf("attest %s: %w", text, err)
	}
	release, err := readRelease(ctx, c, text)
	if err != nil {
		return fmt.Errorf("attest %s: %w", text, err)
	}
	builder, err := attest.FindBuilder(ctx)
	if err != nil {
		return fmt.Errorf("attest %s: %w", text, err)
	}
	played, err := scenario.ReadReport(filepath.Join(dist, scenario.ReportFile))
	if errors.Is(err, fs.ErrNotExist) {
		printable.Fprintf(out.Err, "no test result is signed: there is no %s, which \"go tool mage e2e\" writes\n", filepath.Join(dist, scenario.ReportFile))
	} else if err != nil {
		return fmt.Errorf("attest %s: %w", text, err)
	}
	opts := attest.SignOptions{Release: *release, Builder: builder, Signer: *signer, Policy: policy(c), KeyFile: rehearsalKey, Played: played}
	signed, err := signPublished(ctx, c, opts, out)
	if err != nil {
		return err
	}
	return out.print(signed.Attached, func(w io.Writer) error {
		for _, a := range signed.Attached {
			printable.Fprintln(w, a)
		}
		return nil
	})
}

// errSignKey says that SIGN and SIGN_KEY contradict each other.
var errSignKey = errors.New("SIGN=key needs SIGN_KEY, and SIGN=keyless goes without it")

// configuredSigner is the configured signer; nil if there is none.
func configuredSigner(c variables.Values) (*attest.Signer, error) {
	if c.Sign == variables.SignNone {
		return nil, nil
	}
	if c.Sign != "" && (c.Sign == variables.SignWithKey) != (c.SignKey != "") {
		return nil, errSignKey
	}
	signer := attest.Signer{
		Key:          c.SignKey,
		FulcioURL:    c.FulcioURL,
		RekorURL:     c.RekorURL,
		TimestampURL: c.TimestampURL,
		TrustedRoot:  c.TrustedRoot,
	}
	// Nothing is written into a public log about content that nobody else can read.
	signer.Rehearsal = c.Sign == "" && c.SignKey == "" && embeddedOnly(c)
	if c.Sign == "" && c.SignKey == "" && !signer.Rehearsal && !attest.HasIdentity() {
		return nil, nil
	}
	return &signer, nil
}

// embeddedOnly reports whether nothing but the embedded registry and storage is configured.
func embeddedOnly(c variables.Values) bool {
	return c.Registry == "" && c.StorageURL == "" && c.StoragePublicURL == ""
}

// policy is the configured policy.
func policy(c variables.Values) attest.Policy {
	p := attest.Policy{Key: c.VerifyKey, Identity: c.VerifyIdentity, Issuer: c.VerifyIssuer, Repository: c.VerifyRepository, TrustedRoot: c.TrustedRoot}
	if p.IsZero() && embeddedOnly(c) {
		if _, err := os.Stat(rehearsalKey); err == nil {
			p.Key = rehearsalKey
		}
	}
	return p
}
