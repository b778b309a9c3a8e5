package targets

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/facts"
	"github.com/slipway-wasm/slipway/deploy/oci"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Render writes manifests for what was published under a version to dist/manifests, or prints what would change (-diff=FOLDER or -diff=cluster).
//
// It reads digests and sums back from the configured registry, storage or both, and
// never from a local build.
//
// Examples:
//
//	REGISTRY=ghcr.io/acme/filters go tool mage render 1.4.0
//	go tool mage render 1.4.0 -diff=cluster
func Render(ctx context.Context, version string, diff *string) error {
	return do(nil, func(c variables.Values, out Output) error {
		return renderManifests(ctx, c, version, given(diff), out)
	})
}

// renderManifests writes the manifests of the filters that were published under a
// version, or prints what would change in a folder or, for "cluster", in the cluster.
// The manifests pull from the configured registry, storage or both; without any
// configuration, from the embedded ones.
func renderManifests(ctx context.Context, c variables.Values, text, compare string, out Output) error {
	v, err := version.Parse(text)
	if err != nil {
		return err
	}
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	filters, err := catalog.Load(catalog.LoadOptions{Names: c.Filters})
	if err != nil {
		return err
	}
	releases, err := readPublished(ctx, c, v, catalog.NamesOf(filters), oci.RegistryOptions{Out: out.Err}, out)
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

// Published reads what is published under a version or a git tag, without credentials,
// as proxies do.
func Published(ctx context.Context, c variables.Values, what string, out Output) ([]manifest.Source, error) {
	ctx, cancel := withDeadline(ctx, c)
	defer cancel()
	v, names, err := version.Read(what, c.Filters)
	if err != nil {
		return nil, advice.Add(err)
	}
	if c.Registry == "" && c.StorageURL == "" && c.StoragePublicURL == "" {
		return nil, advice.Add(fmt.Errorf("read what is published of %s: no proxy can pull from the embedded stores; set REGISTRY or STORAGE_PUBLIC_URL", v))
	}
	filters, err := catalog.Load(catalog.LoadOptions{Names: names})
	if err != nil {
		return nil, advice.Add(err)
	}
	releases, err := readPublished(ctx, c, v, catalog.NamesOf(filters), oci.RegistryOptions{Out: out.Err, Anonymous: true}, out)
	return releases, advice.Add(err)
}

// readPublished reads what is published of a version.
func readPublished(ctx context.Context, c variables.Values, v version.Version, filters []string, opts oci.RegistryOptions, out Output) (releases []manifest.Source, err error) {
	from, err := openPublished(ctx, c, opts, out)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	releases, err = facts.Read(ctx, facts.Options{Filters: filters, Version: v, Registry: from.registry, Storage: from.storage})
	if err != nil {
		return nil, err
	}
	if from.embedded {
		for i := range releases {
			releases[i].Repository = moved(releases[i].Repository, from.registry.Address(), rel.EmbeddedRegistry)
			releases[i].URL = moved(releases[i].URL, strings.TrimSuffix(from.storage.PublicURL(""), "/"), rel.EmbeddedStorage)
		}
	}
	return releases, nil
}

// publishedIn is where published versions are read.
type publishedIn struct {
	registry *oci.Registry    // nil if only a storage is configured
	storage  *storage.Storage // nil if only a registry is configured
	embedded bool             // neither is configured
	close    func() error
}

// openPublished opens the configured registry and storage for reading; without any
// configuration, the embedded ones.
func openPublished(ctx context.Context, c variables.Values, opts oci.RegistryOptions, out Output) (publishedIn, error) {
	hasStorage := c.StorageURL != "" || c.StoragePublicURL != ""
	from := publishedIn{embedded: c.Registry == "" && !hasStorage, close: func() error { return nil }}
	if c.Registry != "" || from.embedded {
		r, done, err := openRegistryWith(ctx, c, "", opts)
		if err != nil {
			return publishedIn{}, err
		}
		from.registry, from.close = r, done
	}
	if hasStorage || from.embedded {
		s, err := openPublicStorage(c, out)
		if err != nil {
			return publishedIn{}, errors.Join(err, from.close())
		}
		done := from.close
		from.storage, from.close = s, func() error { return errors.Join(s.Close(), done()) }
	}
	return from, nil
}

// openPublicStorage opens the storage for reading, as everybody does. It needs only the
// address for readers, if that is known.
func openPublicStorage(c variables.Values, out Output) (*storage.Storage, error) {
	if c.StoragePublicURL != "" {
		return storage.OpenPublic(c.StoragePublicURL, storage.Options{Out: out.Err, NoLists: c.StorageLists != ""})
	}
	return openStorage(c, out)
}

// moved replaces the base that an address begins with.
func moved(address, from, to string) string {
	return to + strings.TrimPrefix(address, from)
}
