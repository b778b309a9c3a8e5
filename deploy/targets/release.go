package targets

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/internal/actions"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
	"github.com/slipway-wasm/slipway/deploy/internal/children"
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Release releases a version, or that of a git tag such as v1.4.0 or headers/v1.4.0, and rehearses it where neither REGISTRY nor STORAGE_URL is set (-dryRun prints what would happen, -until=STEP stops after a step).
//
// With -shard=K/N it builds, tests and plays one of N parts of the filters, on a machine of
// its own. -parts=FOLDER joins them: it has a folder for each part, with what that left in
// dist. It refuses a part that is missing, doubled, or of another commit or compiler.
//
// It builds, tests, plays, pushes, uploads, attests, renders and verifies, in this
// order. After an interruption, the next run goes on from there.
//
// Examples:
//
//	go tool mage release 1.4.0
//	REGISTRY=ghcr.io/acme/filters SIGN_KEY=cosign.key go tool mage release headers/v1.4.0
func Release(ctx context.Context, versionOrTag string, dryRun *bool, until, shard, parts *string) error {
	return do(nil, func(c variables.Values, out Output) error {
		opts := releaseChoices{DryRun: given(dryRun), Until: given(until), Shard: given(shard), Parts: given(parts), Suite: testOptions()}
		return releaseVersion(ctx, c, versionOrTag, opts, out)
	})
}

// releaseChoices say how far a release goes.
type releaseChoices struct {
	// DryRun prints what would happen, and changes nothing.
	DryRun bool
	// Until is the step to stop after: see release.Steps. Default: none.
	Until string
	// Shard is the one part to build and test, as K/N. Default: all.
	Shard string
	// Parts is the folder with what the shards left. Default: none.
	Parts string
	// Suite says how tests run. Release chooses their environment.
	Suite gotest.Options
}

// releaseVersion publishes to the configured registry, storage or both. If neither is
// configured, it is a rehearsal in the embedded ones.
func releaseVersion(ctx context.Context, c variables.Values, versionOrTag string, opts releaseChoices, out Output) error {
	options, err := releaseOptions(c, versionOrTag, opts, out)
	if err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if opts.DryRun {
		return rel.Preview(ctx, options)
	}
	return releaseWith(ctx, options)
}

// releaseWith releases, and shows the notes on the page of a job of GitHub Actions.
func releaseWith(ctx context.Context, options rel.Options) error {
	if record, err := rel.Release(ctx, options); err != nil || record == nil {
		return err
	}
	return actions.SummarizeFile(filepath.Join(dist, rel.NotesFile))
}

func releaseOptions(c variables.Values, versionOrTag string, opts releaseChoices, out Output) (rel.Options, error) {
	v, filters, err := version.Read(versionOrTag, c.Filters)
	if err != nil {
		return rel.Options{}, err
	}
	shapes, err := shapes(c)
	if err != nil {
		return rel.Options{}, err
	}
	shard, err := rel.ParseShard(opts.Shard)
	if err != nil {
		return rel.Options{}, err
	}
	tests := opts.Suite
	tests.Env = children.Environment(os.Environ())
	options := rel.Options{
		Version:         v,
		Filters:         filters,
		Dist:            dist,
		Compiler:        c.Compiler,
		GoToolchain:     c.GoToolchain,
		TinyGoVersion:   c.TinyGoVersion,
		EnvoyVersions:   c.EnvoyVersions,
		EnvoyTested:     LowestEnvoyTested,
		Tests:           tests,
		Shapes:          shapes,
		TransferTimeout: transferTimeout(c),
		Policy:          policy(c),
		HTTPBinImage:    c.HTTPBinImage,
		Until:           opts.Until,
		Shard:           shard,
		Parts:           opts.Parts,
		Out:             out.Out,
		Notice:          func(err error) { printable.Fprintln(out.Err, advice.Add(err)) },
	}
	if c.Registry != "" {
		options.Registry = registryOptions(c)
		options.Registry.FixedTags = bool(c.MovingTags)
	}
	if c.StorageURL != "" {
		options.Storage = storageOptions(c)
	}
	options.Signer, err = configuredSigner(c)
	return options, err
}
