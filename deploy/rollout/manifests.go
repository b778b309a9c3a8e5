package rollout

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/manifest"
)

// Publish publishes the first release of all filters below a path of the stores, and
// returns it with the addresses that proxies can read. path is a DNS label that is no
// scenario's name.
func (r *Rollout) Publish(ctx context.Context, path string) (releases []manifest.Source, err error) {
	stores, err := r.openStores(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stores.close()) }()
	return stores.publish(ctx, First, names)
}

// RollOut adds a scenario that rolls out a version from wherever it is published. It
// takes what facts.Read returns: proxies know the filters by the addresses in it. A
// filter that no scenario knows is an error.
func (r *Rollout) RollOut(published []manifest.Source) error {
	for _, release := range published {
		if !slices.Contains(names, release.Filter) {
			return fmt.Errorf("roll out %s %s: no scenario knows what this filter does; narrow FILTERS to some of %s", release.Filter, release.Version, strings.Join(names, ", "))
		}
	}
	r.published = published
	return nil
}

// Manifests publishes the first release of all filters and renders it as "mage render"
// does: every form of every filter, and the httpbin to try it on. It returns the
// folder, which exists until Close.
func (r *Rollout) Manifests(ctx context.Context) (folder string, err error) {
	releases, err := r.Publish(ctx, "manifests")
	if err != nil {
		return "", err
	}
	folder = filepath.Join(r.dir, "manifests")
	return folder, manifest.Render(ctx, manifest.RenderOptions{
		Filters:      r.filters,
		Releases:     releases,
		Dir:          folder,
		HTTPBinImage: r.options.HTTPBinImage,
	})
}
