package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/facts"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// stores are a scenario's places in the registry and the storage.
type stores struct {
	rollout  *Rollout
	registry *oci.Registry
	storage  *storage.Storage
}

func (r *Rollout) openStores(path string) (*stores, error) {
	registry := r.options.Registry
	registry.Address += "/" + path
	registry.PlainHTTP = true
	s := &stores{rollout: r}
	var err error
	if s.registry, err = oci.Open(registry); err != nil {
		return nil, err
	}
	store := r.options.Storage
	store.URL += "/" + path
	store.PublicURL += "/" + path
	s.storage, err = storage.Open(store)
	return s, err
}

func (s *stores) close() error { return s.storage.Close() }

// publish pushes and uploads the filters as a version. It returns what can be read
// back, with the addresses that proxies use.
func (s *stores) publish(ctx context.Context, text string, filters []string) ([]manifest.Source, error) {
	if err := s.push(ctx, text, text, filters); err != nil {
		return nil, err
	}
	if err := s.upload(ctx, text, text, filters); err != nil {
		return nil, err
	}
	releases, err := facts.Read(ctx, facts.Options{Filters: filters, Version: version.MustParse(text), Registry: s.registry, Storage: s.storage})
	if err != nil {
		return nil, err
	}
	for i := range releases {
		releases[i] = s.rollout.options.ProxySees(releases[i])
	}
	return releases, nil
}

// push pushes the filters as a version. built is the release whose modules it takes.
func (s *stores) push(ctx context.Context, text, built string, filters []string) error {
	release := build.Release{Version: version.MustParse(text), Revision: strings.Repeat("0", 40), Created: time.Unix(0, 0)}
	for i, f := range s.rollout.filters {
		if slices.Contains(filters, f.Name) {
			release.Filters = append(release.Filters, build.Built{Filter: f, Module: s.rollout.modules[built][i]})
		}
	}
	images, err := oci.NewImages(release)
	if err != nil {
		return err
	}
	_, err = s.registry.Push(ctx, images, oci.PushOptions{})
	return err
}

// upload uploads the filters likewise.
func (s *stores) upload(ctx context.Context, text, built string, filters []string) error {
	upload := storage.UploadOptions{Version: version.MustParse(text)}
	for i, f := range s.rollout.filters {
		if slices.Contains(filters, f.Name) {
			upload.Modules = append(upload.Modules, s.rollout.modules[built][i])
		}
	}
	_, err := storage.Upload(ctx, s.storage, upload)
	return err
}

// refused publishes other bytes under a version that exists, which must fail.
func (s *stores) refused(ctx context.Context, version, built string, filters []string) error {
	for _, publish := range []func(context.Context, string, string, []string) error{s.push, s.upload} {
		err := publish(ctx, version, built, filters)
		if err == nil {
			return fmt.Errorf("other bytes were taken as version %s, which exists", version)
		}
		if !strings.Contains(err.Error(), "a published version never changes") {
			return fmt.Errorf("refused, but for another reason: %w", err)
		}
	}
	return nil
}

// forceTag lets a version's tag point to another version's manifest, which Slipway
// never does.
func (s *stores) forceTag(ctx context.Context, filter, tag, other string) error {
	repository, err := remote.NewRepository(s.registry.Address() + "/" + filter)
	if err != nil {
		return err
	}
	repository.PlainHTTP = true
	want, err := oras.Tag(ctx, repository, other, tag)
	if err != nil {
		return fmt.Errorf("move the tag %s by force: %w", tag, err)
	}
	got, err := repository.Resolve(ctx, tag)
	if err == nil && got.Digest != want.Digest {
		err = fmt.Errorf("the tag %s does not follow force: it is %s, not %s", tag, got.Digest, want.Digest)
	}
	return err
}
