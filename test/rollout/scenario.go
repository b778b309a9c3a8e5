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

// Scenario is what is done, one step after the other, to a workload of its own.
type Scenario struct {
	// Name is a DNS label, unique among the scenarios.
	Name    string
	filters []string
	steps   []step
}

// step is one change and what must follow.
type step struct {
	name string
	// change is done once.
	change func(context.Context, *stage) error
	// see returns nil once what must follow is seen.
	see func(context.Context, *stage) error
}

// Scenarios returns all scenarios.
func Scenarios() []Scenario {
	all := []string{authtoken, headers, requestlog}
	return []Scenario{
		rollOut("chain-oci", wasmPlugin, all...),
		rollOut("chain-ecds", envoyFilter, all...),
		rollOut("headers-wasmplugin-http", wasmPluginHTTP, headers),
		rollOut("requestlog-trafficextension", trafficExtension, requestlog),
		rollOut("authtoken-trafficextension-http", trafficExtensionHTTP, authtoken),
		missing(),
		wrongSum("wrong-sha256", wasmPluginHTTP),
		wrongSum("wrong-sha256-ecds", envoyFilter),
		movedTag(),
	}
}

// rollOut takes filters through two releases and back.
func rollOut(name, form string, filters ...string) Scenario {
	live := func(release string) step {
		return step{
			"release " + release + " is live",
			apply(variant{release: release}, form, filters...),
			seeReleases(release, filters...),
		}
	}
	back := live(First)
	back.name = "rolled back to " + First
	return Scenario{name, filters, []step{
		live(First),
		live(Second),
		back,
		{"deleted, nothing is left of it", remove(form, filters...), seeReleases("")},
	}}
}

// missing rolls out a version that nobody has pushed.
func missing() Scenario {
	notPushed := func(r *manifest.Release) {
		r.Version, r.ManifestDigest = "9.9.9", "sha256:"+strings.Repeat("0123456789abcdef", 4)
	}
	const why = "could not fetch Wasm OCI image"
	return faulty("missing-version", wasmPlugin, notPushed, why)
}

// wrongSum announces the first release with the sum of something else.
func wrongSum(name, form string) Scenario {
	wrong := func(r *manifest.Release) { r.WasmSHA256 = strings.Repeat("0123456789abcdef", 4) }
	return faulty(name, form, wrong, "which does not match: 0123456789abcdef")
}

// faulty has a live release replaced by one that cannot be fetched, once with each
// strategy. The agent has to say why, with words that are given.
func faulty(name, form string, fault func(*manifest.Release), why string) Scenario {
	with := func(strategy string, fault func(*manifest.Release)) variant {
		return variant{release: First, failStrategy: strategy, fault: fault}
	}
	filters := []string{headers}
	live := seeReleases(First, filters...)
	return Scenario{name, filters, []step{
		{"release " + First + " is live", apply(with(catalog.FailClose, nil), form, filters...), live},
		{"FAIL_CLOSE denies, the agent says why", apply(with(catalog.FailClose, fault), form, filters...), both(seeDenied, seeAgent(why, "deny"))},
		{"rolled back to " + First, apply(with(catalog.FailClose, nil), form, filters...), live},
		{"FAIL_OPEN lets pass untouched, the agent says why", apply(with(catalog.FailOpen, fault), form, filters...), both(seeReleases(""), seeAgent(why, "allow"))},
		{"rolled back to " + First, apply(with(catalog.FailOpen, nil), form, filters...), live},
	}}
}

// movedTag shows why a version's tag must not move: proxies that have it do not
// look again, so that old and new code would run side by side.
func movedTag() Scenario {
	filters := []string{headers}
	byTag := func(header string) func(context.Context, *stage) error {
		return func(ctx context.Context, s *stage) error {
			folder, err := s.render(ctx, variant{release: First, header: header}, filters)
			if err != nil {
				return err
			}
			if folder, err = s.pinByTag(folder); err != nil {
				return err
			}
			return s.workload.Apply(ctx, folder)
		}
	}
	const changed = "hello again"
	return Scenario{"moved-tag", filters, []step{
		{"release " + First + " is live, named by tag", byTag(defaultHeader), seeReleases(First, filters...)},
		{"a push of other bytes as " + First + " is refused", func(ctx context.Context, s *stage) error {
			return s.stores.refused(ctx, First, Second, filters)
		}, seeReleases(First, filters...)},
		{"the tag moved by force is not picked up, another configuration is", func(ctx context.Context, s *stage) error {
			if err := s.stores.forceTag(ctx, headers, First, Second); err != nil {
				return err
			}
			return byTag(changed)(ctx, s)
		}, func(ctx context.Context, s *stage) error {
			return s.sees(ctx, sight{headers: First, header: changed})
		}},
		{"release " + Second + " is live, named by digest", apply(variant{release: Second}, wasmPlugin, filters...), seeReleases(Second, filters...)},
	}}
}

// pinByTag overlays the rendered WasmPlugin of headers, so that it names the first
// release's tag in place of the digest.
func (s *stage) pinByTag(manifests string) (string, error) {
	overlay := filepath.Join(manifests, headers, "by-tag")
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
- target: {kind: WasmPlugin}
  patch: '[{"op": "replace", "path": "/spec/url", "value": "oci://%s:%s"}]'
`, wasmPlugin, repository, First)
	return overlay, os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(content), 0o600)
}

// apply renders and applies filters in one form.
func apply(v variant, form string, filters ...string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		manifests, err := s.render(ctx, v, filters)
		if err != nil {
			return err
		}
		s.began() // rendering is not part of what is waited for
		for _, f := range filters {
			if err := s.workload.Apply(ctx, filepath.Join(manifests, f, form)); err != nil {
				return err
			}
		}
		return nil
	}
}

// remove deletes what apply has applied.
func remove(form string, filters ...string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		manifests := fmt.Sprintf("%s/%d", s.dir, s.rendered)
		for _, f := range filters {
			if err := s.workload.Delete(ctx, filepath.Join(manifests, f, form)); err != nil {
				return err
			}
		}
		return nil
	}
}
