package target

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/config"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/facts"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// The embedded registry and storage listen on another port each time. Manifests name
// these instead, so that rendering twice gives the same bytes: where ServeRegistry and
// ServeStorage serve them.
const (
	embeddedRegistry = "127.0.0.1:5000"
	embeddedStorage  = "http://127.0.0.1:5001"
)

// Render writes the manifests of the filters as they were published under a
// version, or prints what would change in a folder or, for "cluster", in the
// cluster. What is configured is what manifests pull from: a registry, a storage or
// both; without any configuration, the embedded ones.
func Render(ctx context.Context, c config.Config, version, compare string, out Output) error {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	filters, err := catalog.Load(catalog.LoadOptions{Names: c.Filters})
	if err != nil {
		return err
	}
	releases, err := published(ctx, c, version, names(filters), out)
	if err != nil {
		return err
	}
	return manifest.Render(ctx, manifest.RenderOptions{
		Filters:      filters,
		Releases:     releases,
		HTTPBinImage: c.HTTPBinImage,
		Compare:      compare,
		Out:          out.Out,
	})
}

// published reads what there is of a version.
func published(ctx context.Context, c config.Config, version string, filters []string, out Output) (releases []manifest.Release, err error) {
	opts := facts.Options{Filters: filters, Version: version}
	noRegistry := c.Registry == ""
	noStorage := c.StorageURL == "" && c.StoragePublicURL == ""
	if !noRegistry || noStorage {
		r, done, openErr := openRegistry(ctx, c, "", out)
		if openErr != nil {
			return nil, openErr
		}
		defer func() { err = errors.Join(err, done()) }()
		opts.Registry = r
	}
	if !noStorage || noRegistry {
		s, openErr := openPublicStorage(c, out)
		if openErr != nil {
			return nil, openErr
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		opts.Storage = s
	}
	releases, err = facts.Read(ctx, opts)
	if err != nil {
		return nil, err
	}
	for i := range releases {
		if noRegistry && opts.Registry != nil {
			releases[i].Repository = moved(releases[i].Repository, opts.Registry.Address(), embeddedRegistry)
		}
		if noStorage && opts.Storage != nil {
			releases[i].URL = moved(releases[i].URL, strings.TrimSuffix(opts.Storage.PublicURL(""), "/"), embeddedStorage)
		}
	}
	return releases, nil
}

// openPublicStorage opens the storage to read it as everybody does. Where readers'
// address is known, nothing else has to be.
func openPublicStorage(c config.Config, out Output) (*storage.Storage, error) {
	if c.StoragePublicURL != "" {
		return storage.OpenPublic(c.StoragePublicURL, storage.Options{Out: out.Err})
	}
	return OpenStorage(c, out)
}

// moved is an address below one base, below another.
func moved(address, from, to string) string {
	return to + strings.TrimPrefix(address, from)
}
