package rollout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
)

// The filters, by the names of their folders.
const (
	authtoken  = "authtoken"
	headers    = "headers"
	requestlog = "requestlog"
)

// The forms in which manifests are applied: folders of what is rendered.
const (
	wasmPlugin           = "wasmplugin"
	wasmPluginHTTP       = "wasmplugin-http"
	trafficExtension     = "trafficextension"
	trafficExtensionHTTP = "trafficextension-http"
	envoyFilter          = "envoyfilter"
)

// Scenario is a list of steps for a workload of its own.
type Scenario struct {
	// Name is a DNS label, unique among the scenarios.
	Name    string
	filters []string
	steps   []step
	// published are releases that are there already. Without them the scenario
	// publishes its own two.
	published []manifest.Source
}

// step is one change and what must follow.
type step struct {
	name string
	// change is done once.
	change func(context.Context, *stage) error
	// want is what a request must show.
	want sight
	// denied says that requests must be denied instead.
	denied bool
	// why holds the words with which the agent must say that it cannot fetch a module.
	// Empty: it must not say so at all.
	why string
}

var (
	// names are the filters whose effects the scenarios know.
	names = []string{authtoken, headers, requestlog}
	// one is for where a single filter is enough.
	one = []string{headers}
)

// Scenarios returns all scenarios. They are few, because Envoy needs seconds to
// compile a module that the ordinary Go compiler has made, each time it gets one.
func (r *Rollout) Scenarios() []Scenario {
	scenarios := []Scenario{fromRegistry(), fromStorage(), otherForms(), movedTag()}
	if len(r.published) > 0 {
		scenarios = append(scenarios, asPublished(r.published))
	}
	return scenarios
}

// nowhere is a digest, without its algorithm, that nothing published has.
var nowhere = strings.Repeat("0123456789abcdef", 4)

// fromRegistry rolls out a chain of all filters as most meshes do. It also rolls out a
// version of one of them that nobody has pushed.
func fromRegistry() Scenario {
	missing := func(strategy string) func(context.Context, *stage) error {
		return apply(variant{release: Second, failStrategy: strategy, fault: func(r *manifest.Source) {
			r.Version, r.ManifestDigest = "9.9.9", "sha256:"+nowhere
		}}, wasmPlugin, one...)
	}
	const why = "could not fetch Wasm OCI image"
	return Scenario{Name: "oci", filters: names, steps: []step{
		{
			name:   "release 1.0.0 of all filters is live",
			change: apply(variant{release: First}, wasmPlugin, names...),
			want:   sight{First, First, First, hello},
		},
		{
			name:   "release 1.1.0 of all filters is live",
			change: apply(variant{release: Second}, wasmPlugin, names...),
			want:   sight{Second, Second, Second, hello},
		},
		{
			name:   "a version that is not there, FAIL_CLOSE: denied",
			change: missing(catalog.FailClose),
			denied: true, why: why,
		},
		{
			name:   "the same, FAIL_OPEN: passes without the filter",
			change: missing(catalog.FailOpen),
			want:   sight{authtoken: Second, requestlog: Second}, why: why,
		},
		{
			name:   "rolled back to 1.0.0",
			change: apply(variant{release: First}, wasmPlugin, names...),
			want:   sight{First, First, First, hello},
		},
		{
			name:   "deleted, nothing is left",
			change: remove(wasmPlugin, names...),
		},
	}}
}

// fromStorage does the same by URL and sha256, with an EnvoyFilter, which needs a pair
// of patches for ECDS. It also rolls out a sha256 that no module has.
func fromStorage() Scenario {
	wrong := func(strategy string) func(context.Context, *stage) error {
		return apply(variant{release: First, failStrategy: strategy, fault: func(r *manifest.Source) {
			r.WasmSHA256 = nowhere
		}}, envoyFilter, one...)
	}
	why := "which does not match: " + nowhere
	return Scenario{Name: "ecds", filters: names, steps: []step{
		{
			name:   "release 1.0.0 of all filters is live",
			change: apply(variant{release: First}, envoyFilter, names...),
			want:   sight{First, First, First, hello},
		},
		{
			name:   "release 1.1.0 of headers is live",
			change: apply(variant{release: Second}, envoyFilter, one...),
			want:   sight{First, Second, First, hello},
		},
		{
			name:   "a wrong sha256, FAIL_CLOSE: denied",
			change: wrong(catalog.FailClose),
			denied: true, why: why,
		},
		{
			name:   "the same, FAIL_OPEN: passes without the filter",
			change: wrong(catalog.FailOpen),
			want:   sight{authtoken: First, requestlog: First}, why: why,
		},
		{
			name:   "headers rolled back to 1.0.0",
			change: apply(variant{release: First}, envoyFilter, one...),
			want:   sight{First, First, First, hello},
		},
		{
			name:   "deleted, nothing is left",
			change: remove(envoyFilter, names...),
		},
	}}
}

// otherForms shows that the remaining forms work, too.
func otherForms() Scenario {
	wrong := variant{release: First, failStrategy: catalog.FailClose, fault: func(r *manifest.Source) { r.WasmSHA256 = nowhere }}
	why := "which does not match: " + nowhere
	return Scenario{Name: "http", filters: []string{authtoken, requestlog}, steps: []step{
		{
			name:   "a WasmPlugin by URL and sha256 is live",
			change: apply(variant{release: First}, wasmPluginHTTP, requestlog),
			want:   sight{requestlog: First},
		},
		{
			name:   "a TrafficExtension by URL and sha256 beside it is live",
			change: apply(variant{release: Second}, trafficExtensionHTTP, authtoken),
			want:   sight{requestlog: First, authtoken: Second},
		},
		{
			name:   "the TrafficExtension with a wrong sha256: denied",
			change: apply(wrong, trafficExtensionHTTP, authtoken),
			denied: true, why: why,
		},
		{
			name:   "it is deleted, the WasmPlugin stays",
			change: remove(trafficExtensionHTTP, authtoken),
			want:   sight{requestlog: First},
		},
		{
			name:   "the WasmPlugin with a wrong sha256: denied",
			change: apply(wrong, wasmPluginHTTP, requestlog),
			denied: true, why: why,
		},
	}}
}

// movedTag shows why a version's tag must not move: proxies that have it do not
// look again, so that old and new code would run side by side.
func movedTag() Scenario {
	byTag := func(ctx context.Context, s *stage, header string) error {
		if err := s.render(ctx, variant{release: First, header: header}, one); err != nil {
			return err
		}
		overlay, err := s.nameTag()
		if err != nil {
			return err
		}
		return s.workload.Apply(ctx, overlay)
	}
	const changed = "hello again"
	return Scenario{Name: "moved-tag", filters: one, steps: []step{
		{
			name:   "release 1.0.0, named by its tag, is live",
			change: func(ctx context.Context, s *stage) error { return byTag(ctx, s, hello) },
			want:   sight{headers: First, header: hello},
		},
		{
			name:   "other bytes as 1.0.0 are refused",
			change: func(ctx context.Context, s *stage) error { return s.stores.refused(ctx, First, Second, one) },
			want:   sight{headers: First, header: hello},
		},
		{
			name: "moved by force: the configuration is new, the code is not",
			change: func(ctx context.Context, s *stage) error {
				if err := s.stores.forceTag(ctx, headers, First, Second); err != nil {
					return err
				}
				return byTag(ctx, s, changed)
			},
			want: sight{headers: First, header: changed},
		},
		{
			name:   "release 1.1.0, named by its digest, is live",
			change: apply(variant{release: Second}, trafficExtension, one...),
			want:   sight{headers: Second, header: hello},
		},
	}}
}

// asPublished rolls out what was published elsewhere, by the digest and the sha256 that
// everybody is given.
func asPublished(releases []manifest.Source) Scenario {
	s := Scenario{Name: "published", published: releases}
	var want sight
	for _, release := range releases {
		s.filters = append(s.filters, release.Filter)
		switch release.Filter {
		case authtoken:
			want.authtoken = release.Version
		case headers:
			want.headers, want.header = release.Version, hello
		case requestlog:
			want.requestlog = release.Version
		}
	}
	for _, way := range []struct {
		name, form string
		there      bool
	}{
		{"by manifest digest", wasmPlugin, releases[0].Repository != ""},
		{"by URL and sha256", wasmPluginHTTP, releases[0].URL != ""},
	} {
		if !way.there {
			continue
		}
		s.steps = append(s.steps, step{
			name:   fmt.Sprintf("%s of %s is live, %s", releases[0].Version, strings.Join(s.filters, ", "), way.name),
			change: apply(variant{release: releases[0].Version}, way.form, s.filters...),
			want:   want,
		}, step{
			name:   "deleted, nothing is left",
			change: remove(way.form, s.filters...),
		})
	}
	return s
}

// nameTag overlays the rendered TrafficExtension of headers, so that it names the
// first release's tag in place of its digest.
func (s *stage) nameTag() (string, error) {
	overlay := filepath.Join(s.folders[headers], "by-tag")
	if err := os.Mkdir(overlay, 0o755); err != nil {
		return "", err
	}
	var repository string
	for _, release := range s.releases[First] {
		if release.Filter == headers {
			repository = release.Repository
		}
	}
	content := fmt.Sprintf(`apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../%s]
patches:
- target: {kind: TrafficExtension}
  patch: '[{"op": "replace", "path": "/spec/wasm/url", "value": "oci://%s:%s"}]'
`, trafficExtension, repository, First)
	return overlay, os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(content), 0o600)
}

// apply renders and applies filters in one form.
func apply(v variant, form string, filters ...string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		if err := s.render(ctx, v, filters); err != nil {
			return err
		}
		for _, f := range filters {
			if err := s.workload.Apply(ctx, filepath.Join(s.folders[f], form)); err != nil {
				return err
			}
		}
		return nil
	}
}

// remove deletes what was applied last.
func remove(form string, filters ...string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		for _, f := range filters {
			if err := s.workload.Delete(ctx, filepath.Join(s.folders[f], form)); err != nil {
				return err
			}
		}
		return nil
	}
}
