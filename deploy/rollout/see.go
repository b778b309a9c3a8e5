package rollout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/play"
)

// step is one change and what must follow.
type step struct {
	name string
	// quiet says that the step is not listed, because nothing new is seen in it.
	quiet bool
	// change is done once.
	change func(context.Context) error
	// see returns nil when what must follow is seen.
	see func(context.Context) error
	// why holds the words with which the agent must say that it cannot fetch a module, and
	// instead what it then does: "allow" or "deny". Empty: it must not say so at all.
	why, instead string
}

// final is an error that no further look can change.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// settle is how long the scenario may take to hold once the proxy has the configuration: its
// workers get it later than its admin interface.
const settle = 30 * time.Second

// on returns a change that begins with the servers of the scenario.
func (s *stage) on(sc *scenario.Scenario, change func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		if s.place, err = set(ctx, s.workload, sc); err != nil {
			return err
		}
		return change(ctx)
	}
}

// apply renders and applies the filters of a scenario in one form.
func (s *stage) apply(v variant, form string, sc *scenario.Scenario) func(context.Context) error {
	return s.on(sc, func(ctx context.Context) error {
		if err := s.render(ctx, v, sc); err != nil {
			return err
		}
		return s.each(sc, func(filter string) error {
			return s.workload.Apply(ctx, s.folder(filter, form))
		})
	})
}

// delete removes what was applied last.
func (s *stage) delete(ctx context.Context, form string, sc *scenario.Scenario) error {
	return s.each(sc, func(filter string) error { return s.workload.Delete(ctx, s.folder(filter, form)) })
}

// each calls do with each filter of a scenario.
func (s *stage) each(sc *scenario.Scenario, do func(filter string) error) error {
	for _, link := range sc.Links() {
		if err := do(link.Filter); err != nil {
			return err
		}
	}
	return nil
}

// live is a step after which the proxy has the modules of a release, and the scenario holds.
func (s *stage) live(name string, v variant, form string, sc *scenario.Scenario) step {
	return step{name: name, change: s.apply(v, form, sc), see: s.holds(sc, func(ctx context.Context) error {
		return s.each(sc, func(filter string) error { return s.has(filter, v.release, form)(ctx) })
	})}
}

// denied is a step after which the agent cannot fetch a module, and all requests are denied.
func (s *stage) denied(name string, v variant, form string, sc *scenario.Scenario, why string) step {
	return step{name: name, change: s.apply(v, form, sc), see: s.seesDenial, why: why, instead: "deny"}
}

// passes is a step after which the agent cannot fetch a module, and requests pass.
func (s *stage) passes(name string, v variant, form string, sc *scenario.Scenario, why string) step {
	return step{name: name, change: s.apply(v, form, sc), see: s.lacksAll(sc), why: why, instead: "allow"}
}

// gone is a step after which no trace is left.
func (s *stage) gone(name, form string, sc *scenario.Scenario) step {
	return step{name: name, change: func(ctx context.Context) error { return s.delete(ctx, form, sc) }, see: s.lacksAll(sc)}
}

// clear is a step that takes away what filters keep in their virtual machines, for a scenario
// that begins with new ones.
func (s *stage) clear(form string, sc *scenario.Scenario) step {
	return step{
		name: "deleted before the next scenario", quiet: true,
		change: func(ctx context.Context) error { return s.delete(ctx, form, sc) },
		see: func(ctx context.Context) error {
			dump, err := s.workload.Admin(ctx, "/config_dump")
			if err != nil {
				return err
			}
			return s.each(sc, func(filter string) error { return s.hasNone(dump, filter, "") })
		},
	}
}

// holds waits for the configuration and then plays the scenario.
func (s *stage) holds(sc *scenario.Scenario, there func(context.Context) error) func(context.Context) error {
	var since time.Time
	return func(ctx context.Context) error {
		if err := there(ctx); err != nil {
			since = time.Time{}
			return err
		}
		if since.IsZero() {
			since = time.Now()
		}
		_, err := play.Play(ctx, sc, s.place)
		if err == nil {
			return nil
		}
		// Services have been called, and would not see again what they have seen.
		if len(sc.Services) > 0 || time.Since(since) > settle {
			return final{err}
		}
		place, setErr := set(ctx, s.workload, sc)
		if setErr != nil {
			return final{errors.Join(err, setErr)}
		}
		s.place = place
		return err
	}
}

// release returns what is published of a filter as a version.
func (s *stage) release(filter, version string) (manifest.Source, error) {
	for _, release := range s.releases[version] {
		if release.Filter == filter {
			return release, nil
		}
	}
	return manifest.Source{}, fmt.Errorf("%s %s is not published", filter, version)
}

// files are the names that Istio's agent gives to the modules of a release: the manifest digest
// of an image, and the wasm sha256 of what a URL serves.
// https://github.com/istio/istio/blob/1.31.1/pkg/wasm/cache.go
func files(release manifest.Source) (image, raw string) {
	return strings.TrimPrefix(release.ManifestDigest, "sha256:") + ".wasm", release.WasmSHA256 + ".wasm"
}

// has returns nil if the proxy has the module of a filter in a release, and of no other.
func (s *stage) has(filter, version, form string) func(context.Context) error {
	return func(ctx context.Context) error {
		dump, err := s.workload.Admin(ctx, "/config_dump")
		if err != nil {
			return err
		}
		release, err := s.release(filter, version)
		if err != nil {
			return err
		}
		image, raw := files(release)
		want := image
		if form == wasmPluginHTTP || form == trafficExtensionHTTP || form == envoyFilter {
			want = raw
		}
		if !strings.Contains(dump, want) {
			return fmt.Errorf("the proxy does not have %s %s, %s", filter, version, want)
		}
		return s.hasNone(dump, filter, want)
	}
}

// hasNone returns nil if a configuration has no module of a filter but the one file.
func (s *stage) hasNone(dump, filter, but string) error {
	for version := range s.releases {
		release, err := s.release(filter, version)
		if err != nil {
			continue
		}
		image, raw := files(release)
		for _, file := range []string{image, raw} {
			if file != but && strings.Contains(dump, file) {
				return fmt.Errorf("the proxy has %s %s, %s", filter, version, file)
			}
		}
	}
	return nil
}

// lacksAll returns nil if requests pass, the proxy has no module of the scenario's filters, and
// the scenario does not hold.
func (s *stage) lacksAll(sc *scenario.Scenario) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := s.lets(ctx); err != nil {
			return err
		}
		dump, err := s.workload.Admin(ctx, "/config_dump")
		if err != nil {
			return err
		}
		if err := s.each(sc, func(filter string) error { return s.hasNone(dump, filter, "") }); err != nil {
			return err
		}
		if sc.Name == scenario.ShippedName {
			return nil // which holds without the filter
		}
		return s.fails(ctx, sc)
	}
}

// lets sends one request, which must pass.
func (s *stage) lets(ctx context.Context) error {
	status, body, err := s.get(ctx, "/status/200")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d, want 200: %s", status, body)
	}
	return err
}

// seesDenial sends one request. The request must meet what Istio's agent puts in the
// place of a filter that it cannot fetch.
func (s *stage) seesDenial(ctx context.Context) error {
	status, body, err := s.get(ctx, "/get")
	if err != nil {
		return err
	}
	if status != http.StatusForbidden || !strings.Contains(string(body), "RBAC") {
		return fmt.Errorf("status %d, want 403 by RBAC: %s", status, body)
	}
	return nil
}

// client opens a connection for each request.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}

// get sends one request to httpbin.
func (s *stage) get(ctx context.Context, path string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.workload.URL()+path, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	req.Host = s.workload.Authority()
	return Do(client, req)
}

// Do sends a request with client, and returns the status and the body of the answer.
func Do(client *http.Client, req *http.Request) (status int, body []byte, err error) {
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	if body, err = io.ReadAll(res.Body); err != nil {
		return 0, nil, fmt.Errorf("read the answer to %s: %w", req.URL, err)
	}
	return res.StatusCode, body, nil
}
