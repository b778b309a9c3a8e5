package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/attest/stored"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	"github.com/slipway-wasm/slipway/deploy/oci"
)

// RehearsalKey is the file in Options.Dist with the public key of a rehearsal's
// signatures. The private key is never stored.
const RehearsalKey = "rehearsal.pub"

// attest attaches to the published manifests what proves their origin: bills of
// materials and, if there is a signer, signatures, provenances and test results.
func (r *run) attest(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	note = "attached to what was published"
	subjects, err := r.subjects()
	if err != nil {
		return "", false, err
	}
	if r.Signer == nil && r.stores.registry == nil {
		printable.Fprintln(out, "nothing is signed here:", attest.ErrNoSigner)
		return "nothing", false, nil
	}
	if r.Signer == nil {
		if err := attest.Describe(ctx, subjects, r.release); err != nil {
			return "", false, err
		}
		return note, false, r.describeSigned(ctx, subjects, out)
	}
	builder, err := attest.FindBuilder(ctx)
	if err != nil {
		return "", false, err
	}
	opts := attest.SignOptions{
		Registry: r.stores.registry, Subjects: subjects, Release: r.release, Builder: builder,
		Signer: *r.Signer, Policy: r.policy(), KeyFile: r.keyFile(), Played: r.state.Played,
	}
	if opts.Record, err = r.newRecord().signable(); err != nil {
		return "", false, err
	}
	var signed attest.Signed
	if r.stores.storage == nil {
		signed, err = attest.Sign(ctx, opts)
	} else {
		signed, err = stored.Sign(ctx, r.stores.storage, opts)
	}
	if err != nil {
		return "", false, err
	}
	unchanged := 0
	for _, a := range signed.Attached {
		if a.Unchanged {
			unchanged++
			continue
		}
		printable.Fprintln(out, a)
	}
	if unchanged > 0 {
		printable.Fprintf(out, "%d of %d statements were there already\n", unchanged, len(signed.Attached))
	}
	return note, false, nil
}

// subjects are the manifests that were published. Their referrers are not listed yet.
func (r *run) subjects() ([]*oci.Subject, error) {
	subjects := make([]*oci.Subject, len(r.published))
	for i, p := range r.published {
		var err error
		if subjects[i], err = r.stores.registry.SubjectOf(p); err != nil {
			return nil, err
		}
	}
	return subjects, nil
}

// keyFile is where a rehearsal keeps its public key; empty in a release.
func (r *run) keyFile() string {
	if !r.rehearsal() {
		return ""
	}
	return filepath.Join(r.Dist, RehearsalKey)
}

// policy says whose signatures count.
func (r *run) policy() attest.Policy {
	p := r.Policy
	if p.IsZero() && r.rehearsal() {
		if _, err := os.Stat(r.keyFile()); err == nil {
			p.Key = r.keyFile()
		}
	}
	return p
}

// describeSigned reports what is attached already, for a run that cannot sign. In a job
// that comes after the signing job, everything is. It does not check who signed:
// verifyAttached does.
func (r *run) describeSigned(ctx context.Context, subjects []*oci.Subject, out io.Writer) error {
	checks, err := attest.Verify(ctx, attest.VerifyOptions{Registry: r.stores.registry, Subjects: subjects, Filters: r.release.Names(), Version: r.Version})
	if err == nil {
		err = attest.Undecided(checks)
	}
	if err != nil {
		return err
	}
	missing := false
	for _, check := range checks {
		switch check.State {
		case attest.Unchecked:
			printable.Fprintf(out, "%s of %s was there already\n", check.Noun(), check.Subject)
		case attest.Missing:
			missing = true
			printable.Fprintf(out, "no %s of %s: %s\n", check.Noun(), check.Subject, check.Detail)
		default:
			printable.Fprintf(out, "%s of %s: %s\n", check.Noun(), check.Subject, check.Detail)
		}
	}
	if missing && !r.policy().IsZero() {
		return attest.ErrNoSigner // verify would find the same
	}
	if missing {
		printable.Fprintln(out, "nothing is signed here:", attest.ErrNoSigner)
	}
	return nil
}

// verifyAttached checks what attest attached and stored. It lists the referrers anew.
func (r *run) verifyAttached(ctx context.Context, out io.Writer) error {
	subjects, err := r.subjects()
	if err != nil {
		return err
	}
	opts := attest.VerifyOptions{Registry: r.stores.registry, Subjects: subjects, Filters: r.release.Names(), Version: r.Version, Policy: r.policy()}
	if !opts.Policy.IsZero() {
		opts.Tested = attest.Tested(*r.state.Played, r.release.Names())
	}
	if r.stores.storage != nil {
		opts.Modules = stored.Modules(ctx, r.stores.storage, r.Version, r.objects)
	}
	checks, err := attest.Verify(ctx, opts)
	if err != nil {
		return err
	}
	if err := errors.Join(attest.WriteChecks(out, checks), attest.Failed(checks), attest.Confirm(checks, subjects, *r.state.Played)); err != nil || opts.Policy.IsZero() {
		return err
	}
	record := r.newRecord()
	file, err := record.encode()
	if err != nil {
		return err
	}
	bundles, problems := record.Signed(file, checks)
	if len(problems) > 0 {
		return fmt.Errorf("the record is not the one that is signed: %s; release with what made it, or sign it", strings.Join(problems, "; "))
	}
	r.bundle = bundles[0]
	return nil
}
