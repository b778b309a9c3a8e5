package rollout

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// variant says how the manifests of a release differ from what a scenario and the published
// facts give.
type variant struct {
	release string
	// failStrategy replaces that of all filters. Empty: each keeps its own.
	failStrategy string
	// env is added to the environment of all filters.
	env []catalog.EnvVar
	// fault makes the facts wrong. Nil: they are right.
	fault func(*manifest.Source)
}

// render writes the manifests of a scenario's filters as "mage render" does. Their folders are
// then the stage's.
func (s *stage) render(ctx context.Context, v variant, sc *scenario.Scenario) error {
	s.rendered++
	opts := manifest.RenderOptions{Dir: filepath.Join(s.dir, strconv.Itoa(s.rendered))}
	plugins, err := sc.Plugins(s.stores.rollout.filters)
	if err != nil {
		return err
	}
	for i, plugin := range plugins {
		f := s.stores.rollout.filter(plugin.Filter)
		if v.failStrategy != "" {
			plugin.FailStrategy = v.failStrategy
		}
		plugin.Env = slices.Concat(plugin.Env, v.env)
		if f, err = configured(s.workload, f, plugin); err != nil {
			return err
		}
		if len(plugins) > 1 {
			// Istio orders filters by phase and priority, the highest first.
			f.Metadata.Apply.Phase, f.Metadata.Apply.Priority = "", int64(len(plugins)-i)
		}
		opts.Filters = append(opts.Filters, f)
		s.folders[f.Name] = filepath.Join(opts.Dir, f.Name)
		for _, release := range s.releases[v.release] {
			if release.Filter != f.Name {
				continue
			}
			if v.fault != nil {
				v.fault(&release)
			}
			opts.Releases = append(opts.Releases, release)
		}
	}
	err = manifest.Render(ctx, opts)
	s.start = time.Now() // the step's time begins now
	return err
}

// filter returns the filter with a name.
func (r *Rollout) filter(name string) catalog.Filter {
	return r.filters[slices.IndexFunc(r.filters, func(f catalog.Filter) bool { return f.Name == name })]
}
