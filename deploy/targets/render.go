package targets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
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
	from, err := openPublished(ctx, c, oci.RegistryOptions{Out: out.Err}, out)
	if err != nil {
		return err
	}
	releases, err := from.read(ctx, v, catalog.NamesOf(filters))
	if err == nil {
		err = from.accepted(ctx, filters, releases)
	}
	if err := errors.Join(err, from.close()); err != nil {
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
	return from.read(ctx, v, filters)
}

// read reads what is published of filters.
func (from publishedIn) read(ctx context.Context, v version.Version, filters []string) ([]manifest.Source, error) {
	releases, err := facts.Read(ctx, facts.Options{Filters: filters, Version: v, Registry: from.registry, Storage: from.storage})
	if err != nil || !from.embedded {
		return releases, err
	}
	for i := range releases {
		releases[i].Repository = moved(releases[i].Repository, from.registry.Address(), rel.EmbeddedRegistry)
		releases[i].URL = moved(releases[i].URL, strings.TrimSuffix(from.storage.PublicURL(""), "/"), rel.EmbeddedStorage)
	}
	return releases, nil
}

// accepted starts the published modules with the configurations that the manifests are going to
// carry. A mistake there would be found by proxies, which then refuse requests or let them pass
// unfiltered.
func (from publishedIn) accepted(ctx context.Context, filters []catalog.Filter, releases []manifest.Source) error {
	for _, f := range filters {
		i := slices.IndexFunc(releases, func(s manifest.Source) bool { return s.Filter == f.Name })
		if i < 0 || f.Metadata.Apply == nil {
			continue
		}
		wasm, err := from.module(ctx, releases[i])
		if err == nil {
			err = inspect.Shipped(ctx, f, wasm)
		}
		if err != nil {
			return fmt.Errorf("start what is published of %s: %w", f.Name, err)
		}
	}
	return nil
}

// module returns the bytes of a published module. If dist has the very same bytes, nothing is
// downloaded.
func (from publishedIn) module(ctx context.Context, source manifest.Source) ([]byte, error) {
	wasm, err := os.ReadFile(filepath.Join(dist, source.Filter+".wasm"))
	if err == nil && source.WasmSHA256 != "" && checksum.Bytes(wasm) == source.WasmSHA256 {
		return wasm, nil
	}
	if from.registry == nil {
		fetched, err := inspect.Fetch(ctx, source.URL)
		if err != nil {
			return nil, err
		}
		return fetched.Wasm, nil
	}
	dir, remove, err := scratch.Dir("", "render-")
	if err != nil {
		return nil, err
	}
	defer remove() //nolint:errcheck // a temporary folder
	repository := source.Repository
	if from.embedded {
		repository = moved(repository, rel.EmbeddedRegistry, from.registry.Address())
	}
	file := filepath.Join(dir, "module.wasm")
	if _, err := from.registry.Pull(ctx, oci.Reference{Repository: repository, Digest: source.ManifestDigest}, file); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
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
		return storage.OpenPublic(c.StoragePublicURL, storage.Options{Out: out.Err, NoLists: bool(c.StorageLists)})
	}
	return openStorage(c, out)
}

// moved replaces the base that an address begins with.
func moved(address, from, to string) string {
	return to + strings.TrimPrefix(address, from)
}
