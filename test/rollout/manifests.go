package rollout

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/manifest"
)

// Manifests publishes the first release of all filters and renders it as "mage
// render" does: every form of every filter, the httpbin to try it on among them. It
// returns the folder, which is there until Close.
func (r *Rollout) Manifests(ctx context.Context) (folder string, err error) {
	stores, err := r.openStores("manifests")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, stores.close()) }()
	releases, err := stores.publish(ctx, First, names)
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
