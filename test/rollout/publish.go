package rollout

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/manifest/facts"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// stores are a scenario's places in the registry and the storage.
type stores struct {
	rollout  *Rollout
	path     string
	registry *oci.Registry
	storage  *storage.Storage
}

func (r *Rollout) openStores(path string) (*stores, error) {
	registry := r.options.Registry
	registry.Address += "/" + path
	registry.PlainHTTP = true
	s := &stores{rollout: r, path: path}
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

// publish pushes and uploads the filters as a version, and returns what can be read
// back of that, with the addresses that proxies use.
func (s *stores) publish(ctx context.Context, version string, filters []string) ([]manifest.Release, error) {
	if err := s.push(ctx, version, version, filters); err != nil {
		return nil, err
	}
	if err := s.upload(ctx, version, version, filters); err != nil {
		return nil, err
	}
	releases, err := facts.Read(ctx, facts.Options{Filters: filters, Version: version, Registry: s.registry, Storage: s.storage})
	if err != nil {
		return nil, err
	}
	for i := range releases {
		releases[i] = s.rollout.options.ProxySees(releases[i])
	}
	return releases, nil
}

// push pushes the filters, as one release built them, as a version.
func (s *stores) push(ctx context.Context, version, built string, filters []string) error {
	var push []oci.Filter
	for i, f := range s.rollout.filters {
		if slices.Contains(filters, f.Name) {
			push = append(push, oci.Filter{Module: s.rollout.modules[built][i], Metadata: f.Metadata})
		}
	}
	_, err := oci.Push(ctx, s.registry, oci.PushOptions{
		Filters: push,
		Release: oci.Release{Version: version, Revision: strings.Repeat("0", 40), Created: time.Unix(0, 0)},
	})
	return err
}

// upload is push for the storage.
func (s *stores) upload(ctx context.Context, version, built string, filters []string) error {
	upload := storage.UploadOptions{Version: version}
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

// forceTag does what Slipway never does: it lets a version's tag point to another
// version's manifest.
func (s *stores) forceTag(ctx context.Context, filter, tag, other string) error {
	repository, err := remote.NewRepository(s.registry.Address() + "/" + filter)
	if err != nil {
		return err
	}
	repository.PlainHTTP = true
	if _, err := oras.Tag(ctx, repository, other, tag); err != nil {
		return fmt.Errorf("move the tag %s by force: %w", tag, err)
	}
	return nil
}

// variant is how the manifests of a release differ from what the filters' own
// filter.yaml and the published facts give.
type variant struct {
	release string
	// failStrategy replaces that of all filters. Empty: each keeps its own.
	failStrategy string
	// header is the value that headers is configured to show to httpbin. Empty:
	// hello.
	header string
	// fault makes the facts wrong. Nil: they are right.
	fault func(*manifest.Release)
}

// render writes the filters' manifests as "mage render" does, to folders that are
// then those of the stage.
func (s *stage) render(ctx context.Context, v variant, filters []string) error {
	if v.header == "" {
		v.header = hello
	}
	s.rendered++
	opts := manifest.RenderOptions{Dir: filepath.Join(s.dir, strconv.Itoa(s.rendered))}
	for _, f := range s.stores.rollout.filters {
		if !slices.Contains(filters, f.Name) {
			continue
		}
		apply := *f.Metadata.Apply
		if v.failStrategy != "" {
			apply.FailStrategy = v.failStrategy
		}
		configure(&apply, f.Name, s.workload.Namespace(), v)
		f.Metadata.Apply = &apply
		opts.Filters = append(opts.Filters, f)
		s.folders[f.Name] = filepath.Join(opts.Dir, f.Name)
	}
	for _, release := range s.releases[v.release] {
		if !slices.Contains(filters, release.Filter) {
			continue
		}
		if v.fault != nil {
			v.fault(&release)
		}
		opts.Releases = append(opts.Releases, release)
	}
	err := manifest.Render(ctx, opts)
	s.start = time.Now() // what is waited for begins now
	return err
}

// configure gives a filter a configuration whose effect can be seen.
func configure(apply *catalog.Apply, filter, namespace string, v variant) {
	switch filter {
	case authtoken:
		// httpbin itself answers with a token. The cluster is the one that istiod
		// makes of httpbin's service.
		host := "httpbin." + namespace + ".svc.cluster.local"
		apply.PluginConfig = map[string]any{
			"cluster":   "outbound|8000||" + host,
			"authority": host,
			"path":      "/response-headers?authorization=" + token,
			"interval":  "1s",
		}
	case headers:
		apply.PluginConfig = map[string]any{
			"request": map[string]any{"set": map[string]any{"x-my-custom-header": v.header}},
		}
	}
}
