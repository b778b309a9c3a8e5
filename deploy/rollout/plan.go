package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/play"
)

// The forms in which manifests are applied: folders of what is rendered.
const (
	wasmPlugin           = "wasmplugin"
	wasmPluginHTTP       = "wasmplugin-http"
	trafficExtension     = "trafficextension"
	trafficExtensionHTTP = "trafficextension-http"
	envoyFilter          = "envoyfilter"
)

// Plan is a list of steps for a workload of its own.
type Plan struct {
	// Name is a DNS label, unique among the plans.
	Name    string
	filters []string
	steps   func(context.Context, *stage) error
	// published are releases that are there already. Without them the plan publishes its own
	// two.
	published []manifest.Source
}

// Plans returns all plans: one for each filter, one for each chain that a scenario makes of
// them, and one for each question that one filter answers for all. They are few, because Envoy
// needs seconds to compile a module that the ordinary Go compiler has made, each time it gets
// one.
func (r *Rollout) Plans() []Plan {
	var plans []Plan
	names := map[string]bool{}
	add := func(p Plan) {
		for names[p.Name] {
			p.Name += "-too"
		}
		names[p.Name] = true
		plans = append(plans, p)
	}
	for _, f := range r.filters {
		add(Plan{Name: f.Name, filters: []string{f.Name}, steps: r.forFilter(f.Name)})
	}
	for i := range r.scenarios {
		sc := &r.scenarios[i]
		var links []string
		for _, link := range sc.Links() {
			links = append(links, link.Filter)
		}
		if len(links) > 1 && len(r.missing(links)) == 0 {
			add(Plan{Name: fmt.Sprintf("chain-%d", i), filters: links, steps: r.forChain(sc)})
		}
	}
	add(Plan{Name: "http", filters: r.names()[:min(2, len(r.filters))], steps: r.otherForms})
	add(Plan{Name: "moved-tag", filters: r.names()[:1], steps: r.movedTag})
	if len(r.published) > 0 {
		p := Plan{Name: "published", published: r.published, steps: r.asPublished}
		for _, release := range r.published {
			p.filters = append(p.filters, release.Filter)
		}
		add(p)
	}
	return plans
}

// missing are those of the names that are no filters which are rolled out.
func (r *Rollout) missing(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(r.names(), name) })
}

// nowhere is a digest, without its algorithm, that nothing published has.
var nowhere = strings.Repeat("0123456789abcdef", 4)

// scenariosOf returns the scenarios of one filter that a workload can play, in the order of
// rank. If why is given, it gets the others, with the reason.
func (r *Rollout) scenariosOf(w Workload, filter string, why func(s *scenario.Scenario, reason string)) []*scenario.Scenario {
	var list []*scenario.Scenario
	for i := range r.scenarios {
		sc := &r.scenarios[i]
		if sc.Filter != filter {
			continue
		}
		reason := r.leftOut(w, sc)
		switch {
		case reason != "":
			if why != nil {
				why(sc, reason)
			}
		case len(sc.Links()) == 1:
			list = append(list, sc)
		}
	}
	slices.SortStableFunc(list, func(a, b *scenario.Scenario) int {
		return cmp.Compare(rank(a), rank(b))
	})
	return list
}

// rank prefers scenarios without lines of the log: the first scenario is played again after each
// update, and a filter that keeps its state through an update need not say again what it said.
func rank(s *scenario.Scenario) int {
	switch {
	case s.Bench:
		return 0
	case !slices.ContainsFunc(s.Steps, func(step scenario.Step) bool { return len(step.Expect.Log) > 0 }):
		return 1
	}
	return 2
}

// judge returns a scenario of the filter that does not hold while nothing is applied, so that
// it tells whether the filter runs. If there is none, it is the scenario that every filter has,
// and alone the digest tells.
func (s *stage) judge(ctx context.Context, filter string) (*scenario.Scenario, error) {
	r := s.stores.rollout
	for _, sc := range r.scenariosOf(s.workload, filter, nil) {
		err := s.fails(ctx, sc)
		if err == nil {
			return sc, nil
		}
		if !errors.Is(err, errHolds) {
			return nil, err
		}
	}
	shipped := scenario.AsShipped(r.filter(filter))
	return &shipped, nil
}

// errHolds says that a scenario holds although its filter does not run.
var errHolds = errors.New("the scenario holds without the filter")

// fails returns nil if a scenario does not hold, as is to be expected without its filter.
func (s *stage) fails(ctx context.Context, sc *scenario.Scenario) error {
	place, err := set(ctx, s.workload, sc)
	if err != nil {
		return err
	}
	var failed *play.Error
	_, err = play.Play(ctx, sc, place)
	switch {
	case err == nil:
		return fmt.Errorf("%s: %w", sc.File, errHolds)
	case errors.As(err, &failed) && ctx.Err() == nil:
		return nil
	}
	return err
}

// forFilter rolls one filter out as most meshes do, by digest, and then by URL and sha256 with
// an EnvoyFilter, which needs a pair of patches for ECDS. Each time it rolls out a release that
// nobody has published, too.
func (r *Rollout) forFilter(filter string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		judge, err := s.judge(ctx, filter)
		if err != nil {
			return err
		}
		var others []*scenario.Scenario
		for _, sc := range r.scenariosOf(s.workload, filter, func(sc *scenario.Scenario, why string) { r.report.leave(s.name, sc.Name, why) }) {
			if sc != judge {
				others = append(others, sc)
			}
		}
		missing := func(release *manifest.Source) {
			release.Version, release.ManifestDigest = "9.9.9", "sha256:"+nowhere
		}
		wrong := func(release *manifest.Source) { release.WasmSHA256 = nowhere }
		for _, way := range []struct {
			form, name, broken, why string
			fault                   func(*manifest.Source)
			scenarios               []*scenario.Scenario
		}{
			{wasmPlugin, "by digest", "a version that is not there", "could not fetch Wasm OCI image", missing, others},
			{envoyFilter, "by URL with ECDS", "a wrong sha256", "which does not match: " + nowhere, wrong, nil},
		} {
			steps := []step{s.live(First+" is live, "+way.name, variant{release: First}, way.form, judge)}
			broken := variant{release: First, failStrategy: catalog.FailClose, fault: way.fault}
			open := broken
			open.failStrategy = catalog.FailOpen
			steps = append(steps,
				s.live(Second+" is live", variant{release: Second}, way.form, judge),
				s.denied(way.broken+", FAIL_CLOSE: denied", broken, way.form, judge, way.why),
				s.passes("the same, FAIL_OPEN: passes without the filter", open, way.form, judge, way.why),
				s.live("rolled back to "+First, variant{release: First}, way.form, judge),
			)
			for _, sc := range way.scenarios {
				steps = append(steps, s.clear(way.form, sc), s.live("the scenario "+sc.Name+" holds", variant{release: First}, way.form, sc))
			}
			steps = append(steps, s.gone("deleted, nothing is left", way.form, judge))
			if err := s.playAll(ctx, steps); err != nil {
				return err
			}
		}
		return nil
	}
}

// forChain rolls out the filters of a chain, whose scenario says what they do together.
func (r *Rollout) forChain(sc *scenario.Scenario) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		if why := r.leftOut(s.workload, sc); why != "" {
			return nil // said by the plan of its filter
		}
		// EnvoyFilters know no order, so a chain is rolled out by WasmPlugins.
		return s.playAll(ctx, []step{
			s.live(fmt.Sprintf("%s of %s is live", First, strings.Join(s.filters, ", ")), variant{release: First}, wasmPlugin, sc),
			s.live(Second+" of all is live", variant{release: Second}, wasmPlugin, sc),
			s.gone("deleted, nothing is left", wasmPlugin, sc),
		})
	}
}

// otherForms shows that the remaining forms work, too.
func (r *Rollout) otherForms(ctx context.Context, s *stage) error {
	first, last := s.filters[0], s.filters[len(s.filters)-1]
	judge, err := s.judge(ctx, first)
	if err != nil {
		return err
	}
	beside, err := s.judge(ctx, last)
	if err != nil {
		return err
	}
	wrong := variant{release: First, failStrategy: catalog.FailClose, fault: func(r *manifest.Source) { r.WasmSHA256 = nowhere }}
	why := "which does not match: " + nowhere
	steps := []step{s.live("a WasmPlugin by URL and sha256 is live", variant{release: First}, wasmPluginHTTP, judge)}
	if first != last {
		other := s.live("a TrafficExtension by URL and sha256 beside it is live", variant{release: Second}, trafficExtensionHTTP, beside)
		also := s.has(first, First, wasmPluginHTTP)
		look := other.see
		other.see = func(ctx context.Context) error { return cmp.Or(look(ctx), also(ctx)) }
		steps = append(steps, other,
			s.denied("the TrafficExtension with a wrong sha256: denied", wrong, trafficExtensionHTTP, beside, why),
			s.stays("it is deleted, the WasmPlugin stays", judge, beside))
	}
	steps = append(steps, s.denied("the WasmPlugin with a wrong sha256: denied", wrong, wasmPluginHTTP, judge, why))
	return s.playAll(ctx, steps)
}

// stays is a step that deletes a TrafficExtension beside the WasmPlugin of another filter.
func (s *stage) stays(name string, judge, deleted *scenario.Scenario) step {
	there := s.has(judge.Filter, First, wasmPluginHTTP)
	look := func(ctx context.Context) error { return cmp.Or(s.lets(ctx), there(ctx)) }
	deletes := func(ctx context.Context) error { return s.delete(ctx, trafficExtensionHTTP, deleted) }
	if len(judge.Services) > 0 { // they would see what the filter does since it was applied
		return step{name: name, change: deletes, see: look}
	}
	return step{name: name, change: s.on(judge, deletes), see: s.holds(judge, look)}
}

// movedTag shows why a version's tag must not move: proxies that have it do not
// look again, so that old and new code would run side by side.
func (r *Rollout) movedTag(ctx context.Context, s *stage) error {
	filter := s.filters[0]
	judge, err := s.judge(ctx, filter)
	if err != nil {
		return err
	}
	byTag := func(ctx context.Context, v variant) error {
		if err := s.render(ctx, v, judge); err != nil {
			return err
		}
		overlay, err := s.nameTag(filter)
		if err != nil {
			return err
		}
		return s.workload.Apply(ctx, overlay)
	}
	live := s.has(filter, First, trafficExtension)
	// It changes the configuration, and nothing that the filter does.
	const changed = "SLIPWAY_ROLLOUT"
	moved := variant{release: First, env: []catalog.EnvVar{{Name: changed, Value: "moved"}}}
	return s.playAll(ctx, []step{
		{
			name:   First + ", named by its tag, is live",
			change: s.on(judge, func(ctx context.Context) error { return byTag(ctx, variant{release: First}) }),
			see:    s.holds(judge, live),
		},
		{
			name:   "other bytes as " + First + " are refused",
			change: func(ctx context.Context) error { return s.stores.refused(ctx, First, Second, s.filters) },
			see:    live,
		},
		{
			name: "moved by force: the configuration is new, the code is not",
			change: s.on(judge, func(ctx context.Context) error {
				if err := s.stores.forceTag(ctx, filter, First, Second); err != nil {
					return err
				}
				return byTag(ctx, moved)
			}),
			see: s.holds(judge, func(ctx context.Context) error {
				dump, err := s.workload.Admin(ctx, "/config_dump")
				if err == nil && !strings.Contains(dump, changed) {
					err = fmt.Errorf("the proxy has no configuration with %s", changed)
				}
				return cmp.Or(err, live(ctx))
			}),
		},
		s.live(Second+", named by its digest, is live", variant{release: Second}, trafficExtension, judge),
	})
}

// asPublished rolls out what was published elsewhere, by the digest and the sha256 that
// everybody is given.
func (r *Rollout) asPublished(ctx context.Context, s *stage) error {
	version := r.published[0].Version
	for _, release := range r.published {
		judge, err := s.judge(ctx, release.Filter)
		if err != nil {
			return err
		}
		for _, way := range []struct {
			name, form string
			there      bool
		}{
			{"by manifest digest", wasmPlugin, release.Repository != ""},
			{"by URL and sha256", wasmPluginHTTP, release.URL != ""},
		} {
			if !way.there {
				continue
			}
			if err := s.playAll(ctx, []step{
				s.live(fmt.Sprintf("%s of %s is live, %s", version, release.Filter, way.name), variant{release: version}, way.form, judge),
				s.gone("deleted, nothing is left", way.form, judge),
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// nameTag overlays the rendered TrafficExtension of a filter, so that it names the
// first release's tag in place of its digest.
func (s *stage) nameTag(filter string) (string, error) {
	overlay := filepath.Join(s.folders[filter], "by-tag")
	if err := os.Mkdir(overlay, 0o755); err != nil {
		return "", err
	}
	release, _ := s.release(filter, First)
	content := fmt.Sprintf(`apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../%s]
patches:
- target: {kind: TrafficExtension}
  patch: '[{"op": "replace", "path": "/spec/wasm/url", "value": "oci://%s:%s"}]'
`, trafficExtension, release.Repository, First)
	return overlay, os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(content), 0o600)
}
