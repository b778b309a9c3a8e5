package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// The releases that are rolled out. The first is what the repository builds. The second does
// the same, and has other bytes.
const (
	First  = "1.0.0"
	Second = "1.1.0"
)

const (
	defaultParallel = 4
	// defaultStepTimeout is long, because only something broken reaches it. V8 needs
	// seconds of a free processor for each module of the ordinary Go compiler, and busy
	// machines have none.
	defaultStepTimeout = 5 * time.Minute
)

// Options say what is rolled out and through which stores.
type Options struct {
	// Root is the repository's folder. Default: ".".
	Root string
	// Filters narrows what is rolled out to these. Default: all filters with a section apply.
	Filters []string
	// EnvoyVersion is the version of the proxies' Envoy. Default: scenarios that leave versions
	// out are played nevertheless.
	EnvoyVersion string
	// Compiler, GoToolchain and TinyGoVersion are those of build.Options.
	Compiler, GoToolchain, TinyGoVersion string
	// Registry is where to push, in plain HTTP. Each plan pushes below a path of
	// its own, because one of them moves tags, and because agents on one machine share
	// a cache. Required: the address.
	Registry oci.RegistryOptions
	// Storage is where to upload, likewise. Required: URL and PublicURL.
	Storage storage.Options
	// ProxySees returns what was published with the addresses that the mesh's proxies
	// know it by. Default: the same addresses.
	ProxySees func(manifest.Source) manifest.Source
	// HTTPBinImage is that of manifest.RenderOptions.
	HTTPBinImage string
	// Parallel is how many plans are played side by side. Default: 4.
	Parallel int
	// StepTimeout bounds the time from a step's change to what must be seen. Default:
	// 5 minutes.
	StepTimeout time.Duration
	// Out gets what is built and what was seen. Default: no output.
	Out io.Writer
}

// Rollout holds two releases of the filters, ready to be played.
type Rollout struct {
	options   Options
	filters   []catalog.Filter
	scenarios []scenario.Scenario
	// modules are the built filters of each release, in the order of filters.
	modules map[string][]build.Module
	dir     string // for manifests
	report  report

	published []manifest.Source
}

// Prepare reads the filters with their scenarios, and builds both releases. A module in dist
// that is up to date is not built again. A filter without a section apply has no manifests,
// and is left out.
func Prepare(ctx context.Context, o Options) (*Rollout, error) {
	o.Root = cmp.Or(o.Root, ".")
	o.Out = cmp.Or(o.Out, io.Discard)
	o.Parallel = cmp.Or(o.Parallel, defaultParallel)
	o.StepTimeout = cmp.Or(o.StepTimeout, defaultStepTimeout)
	if o.ProxySees == nil {
		o.ProxySees = func(r manifest.Source) manifest.Source { return r }
	}
	r := &Rollout{options: o, modules: map[string][]build.Module{}}
	all, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(o.Root, "filter"), Names: o.Filters})
	if err != nil {
		return nil, err
	}
	if r.scenarios, err = scenario.Load(all); err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.Metadata.Apply == nil {
			r.report.leave(f.Name, "all", "its "+catalog.MetadataFile+" has no section apply, so there are no manifests")
			continue
		}
		r.filters = append(r.filters, f)
	}
	if len(r.filters) == 0 {
		return nil, errors.New("prepare the roll-out: no filter has a section apply, so there is nothing to roll out")
	}
	if r.dir, err = os.MkdirTemp("", "slipway-rollout-"); err != nil {
		return nil, err
	}
	if err := r.build(ctx); err != nil {
		_ = r.Close() // err says more
		return nil, fmt.Errorf("prepare the roll-out: %w", err)
	}
	return r, nil
}

func (r *Rollout) build(ctx context.Context) (err error) {
	r.modules[First], err = build.Build(ctx, build.Options{
		Filters:       r.filters,
		Dist:          filepath.Join(r.options.Root, "dist"),
		Compiler:      r.options.Compiler,
		GoToolchain:   r.options.GoToolchain,
		TinyGoVersion: r.options.TinyGoVersion,
		Out:           r.options.Out,
	})
	if err == nil {
		r.modules[Second], err = secondRelease(r.modules[First], filepath.Join(r.dir, "second"))
	}
	return err
}

// Close removes what Prepare made, but for the modules in dist.
func (r *Rollout) Close() error { return os.RemoveAll(r.dir) }
