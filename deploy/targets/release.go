package targets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/config"
	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
	"github.com/slipway-wasm/slipway/deploy/oci"
	rel "github.com/slipway-wasm/slipway/deploy/release"
)

// Release releases a version, or that of a git tag such as v1.4.0 or headers/v1.4.0, and rehearses it where neither REGISTRY nor STORAGE_URL is set (-dryRun prints what would happen, -until=STEP stops after a step).
//
// It builds, tests, plays, pushes, uploads, attests, renders and verifies, in this
// order; run again after an interruption, it goes on where it was.
//
// Examples:
//
//	go tool mage release 1.4.0
//	REGISTRY=ghcr.io/acme/filters SIGN_KEY=cosign.key go tool mage release headers/v1.4.0
func Release(ctx context.Context, versionOrTag string, dryRun *bool, until *string) error {
	return do(nil, func(c config.Config, out Output) error {
		opts := releaseChoices{DryRun: given(dryRun), Until: given(until), Suite: testOptions()}
		return releaseVersion(ctx, c, versionOrTag, opts, out)
	})
}

// releaseChoices say how far a release goes.
type releaseChoices struct {
	// DryRun prints what would happen, and changes nothing.
	DryRun bool
	// Until is the step to stop after: see release.Steps. Default: none.
	Until string
	// Suite says how tests run; their environment is Release's to choose.
	Suite gotest.Options
}

// releaseVersion releases a version, or the version of a git tag: see release.Release. What
// is configured is where it is published: a registry, a storage or both; without
// any of it, it is a rehearsal in the embedded ones.
func releaseVersion(ctx context.Context, c config.Config, versionOrTag string, opts releaseChoices, out Output) error {
	options, err := releaseOptions(c, versionOrTag, opts, out)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if opts.DryRun {
		return rel.Preview(ctx, options)
	}
	_, err = rel.Release(ctx, options)
	return err
}

func releaseOptions(c config.Config, versionOrTag string, opts releaseChoices, out Output) (rel.Options, error) {
	shapes, err := shapes(c)
	if err != nil {
		return rel.Options{}, err
	}
	if strings.HasPrefix(c.Registry, oci.LayoutScheme) {
		return rel.Options{}, fmt.Errorf("%s is %w", c.Registry, oci.ErrLayout)
	}
	tests := opts.Suite
	tests.Env = gotest.Environment(os.Environ())
	options := rel.Options{
		Version:       versionOrTag,
		Filters:       c.Filters,
		Rehearsal:     c.Registry == "" && c.StorageURL == "",
		Dist:          dist,
		Compiler:      c.Compiler,
		GoToolchain:   c.GoToolchain,
		TinyGoVersion: c.TinyGoVersion,
		EnvoyVersions: c.EnvoyVersions,
		EnvoyTested:   LowestEnvoyTested,
		Shapes:        shapes,
		HTTPBinImage:  c.HTTPBinImage,
		Stores:        func(ctx context.Context, log io.Writer) (*rel.Stores, error) { return stores(ctx, c, Output{Err: log}) },
		Transfer: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return withDeadline(ctx, c)
		},
		Test: func(ctx context.Context, dist string, log io.Writer) error {
			tests := tests
			tests.Dist, tests.Out, tests.Err = dist, log, log
			return gotest.Test(ctx, tests)
		},
		E2E: func(ctx context.Context, dist string, filters []string, log io.Writer) (rel.Played, error) {
			tests := tests
			tests.Dist, tests.Out, tests.Err = dist, log, log
			tests.Env = append(slices.Clone(tests.Env), "FILTERS="+strings.Join(filters, ","))
			played, err := gotest.E2E(ctx, tests)
			return rel.Played(played), err
		},
		Until: opts.Until,
		Out:   out.Out,
	}
	if options.Rehearsal || c.Registry != "" {
		options.Attest = func(ctx context.Context, record rel.Record, stores *rel.Stores, log io.Writer) error {
			return attestRelease(ctx, c, record, stores.Registry, log)
		}
		options.Verify = func(ctx context.Context, record rel.Record, stores *rel.Stores, log io.Writer) error {
			return verifyRelease(ctx, c, record, stores.Registry, log)
		}
	}
	return options, nil
}

// stores opens what is configured, and the embedded ones if nothing is.
func stores(ctx context.Context, c config.Config, out Output) (*rel.Stores, error) {
	s := &rel.Stores{}
	var done []func() error
	s.Close = func() error {
		var problems []error
		for _, end := range done {
			problems = append(problems, end())
		}
		return errors.Join(problems...)
	}
	rehearsal := c.Registry == "" && c.StorageURL == ""
	if rehearsal {
		s.RegistryName, s.StorageURL = embeddedRegistry, embeddedStorage
	}
	if c.Registry != "" || rehearsal {
		r, end, err := openRegistry(ctx, c, "", out)
		if err != nil {
			return nil, err
		}
		s.Registry, done = r, append(done, end)
	}
	if c.StorageURL != "" || rehearsal {
		storage, err := openStorage(c, out)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.Storage, done = storage, append(done, storage.Close)
	}
	return s, nil
}

// attestRelease attaches bills of materials and, if somebody can sign, signatures
// and provenances.
func attestRelease(ctx context.Context, c config.Config, record rel.Record, r *oci.Registry, log io.Writer) error {
	c.Filters = record.FilterNames()
	attached, err := attestIn(ctx, c, record.Version, r)
	if errors.Is(err, attest.ErrNoSigner) {
		return describeSigned(ctx, record.Version, c.Filters, r, log)
	}
	if err != nil {
		return err
	}
	unchanged := 0
	for _, a := range attached {
		if a.Unchanged {
			unchanged++
			continue
		}
		fmt.Fprintln(log, a)
	}
	if unchanged > 0 {
		fmt.Fprintf(log, "%d of %d statements were there already\n", unchanged, len(attached))
	}
	return nil
}

// describeSigned says what is there already where nobody can sign: in a job that comes
// after the one that signed, all of it is. Whose signatures they are is verifyRelease's
// to check.
func describeSigned(ctx context.Context, version string, filters []string, r *oci.Registry, log io.Writer) error {
	checks, err := attest.Verify(ctx, attest.VerifyOptions{Registry: r, Filters: filters, Version: version})
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
			fmt.Fprintf(log, "%s of %s was there already\n", check.What, check.Subject)
		case attest.Missing:
			missing = true
			fmt.Fprintf(log, "no %s of %s: %s\n", check.What, check.Subject, check.Detail)
		default:
			fmt.Fprintf(log, "%s of %s: %s\n", check.What, check.Subject, check.Detail)
		}
	}
	if missing {
		fmt.Fprintln(log, "nothing is signed here:", advice.Add(attest.ErrNoSigner))
	}
	return nil
}

// verifyRelease checks what attestRelease attached.
func verifyRelease(ctx context.Context, c config.Config, record rel.Record, r *oci.Registry, log io.Writer) error {
	checks, err := attest.Verify(ctx, attest.VerifyOptions{Registry: r, Filters: record.FilterNames(), Version: record.Version, Policy: policy(c)})
	if err != nil {
		return err
	}
	return errors.Join(attest.WriteChecks(log, checks), attest.Failed(checks))
}
