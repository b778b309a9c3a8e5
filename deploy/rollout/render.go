package rollout

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
)

// variant says how the manifests of a release differ from what the filters' own
// filter.yaml and the published facts give.
type variant struct {
	release string
	// failStrategy replaces that of all filters. Empty: each keeps its own.
	failStrategy string
	// header is the value that headers is configured to show to httpbin. Empty:
	// hello.
	header string
	// fault makes the facts wrong. Nil: they are right.
	fault func(*manifest.Source)
}

// render writes the filters' manifests as "mage render" does. Their folders are then
// the stage's.
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
	s.start = time.Now() // the step's time begins now
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
