package rollout

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
)

// Publish publishes the first release of all filters below a path of the stores, and
// returns it with the addresses that proxies can read. path is a DNS label that is no
// plan's name.
func (r *Rollout) Publish(ctx context.Context, path string) (releases []manifest.Source, err error) {
	stores, err := r.openStores(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stores.close()) }()
	return stores.publish(ctx, First, r.names())
}

// RollOut adds a plan that rolls out a version from wherever it is published. It takes what
// facts.Read returns: proxies know the filters by the addresses in it. It is an error if one
// of them is no filter that is rolled out here.
func (r *Rollout) RollOut(published []manifest.Source) error {
	for _, release := range published {
		if !slices.Contains(r.names(), release.Filter) {
			return fmt.Errorf("roll out %s %s: nothing here tells what this filter does; the filters with manifests here are %s", release.Filter, release.Version, strings.Join(r.names(), ", "))
		}
	}
	r.published = published
	return nil
}

// names are the names of the filters.
func (r *Rollout) names() []string { return catalog.NamesOf(r.filters) }

// Manifests publishes the first release of all filters and renders it as "mage render"
// does: every form of every filter, and the httpbin to try it on. It returns the
// folder, which exists until Close.
func (r *Rollout) Manifests(ctx context.Context) (folder string, err error) {
	releases, err := r.Publish(ctx, "manifests")
	if err != nil {
		return "", err
	}
	folder = filepath.Join(r.dir, "manifests")
	// They are applied to a namespace of the roll-out's.
	filters := slices.Clone(r.filters)
	for i, f := range filters {
		apply := *f.Metadata.Apply
		apply.Namespace = ""
		filters[i].Metadata.Apply = &apply
	}
	return folder, manifest.Render(ctx, manifest.RenderOptions{
		Filters:      filters,
		Releases:     releases,
		Dir:          folder,
		HTTPBinImage: r.options.HTTPBinImage,
	})
}
