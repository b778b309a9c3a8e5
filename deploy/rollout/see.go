package rollout

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const (
	// hello is what headers is configured to show to httpbin.
	hello = "hello world"
	// token is what httpbin gives out as auth service. It has no space, because it
	// stands in a URL.
	token = "rollout-token"
	// counter is the name in Envoy's /stats.
	counter = "wasmcustom.hello_header_counter"
)

// sight says which release of each filter is live, as the traces of one request show.
// Empty: no release is.
type sight struct {
	authtoken, headers, requestlog string
	// header is the value that headers shows to httpbin.
	header string
}

// see returns nil if the effect of a step shows now.
func (s *stage) see(ctx context.Context, step step) error {
	look := func() error { return s.sees(ctx, step.want) }
	instead := "allow"
	if step.denied {
		look = func() error { return s.seesDenial(ctx) }
		instead = "deny"
	}
	if err := look(); err != nil || step.why == "" {
		return err
	}
	said, err := s.agentRefusals(ctx)
	if err != nil {
		return err
	}
	for _, line := range said {
		if strings.Contains(line, step.why) && strings.Contains(line, "applying "+instead+" RBAC filter") {
			return nil
		}
	}
	return fmt.Errorf("the agent did not say %q and that it applies an RBAC filter to %s", step.why, instead)
}

// sees sends one request and checks what the client, the proxy and httpbin saw of it.
func (s *stage) sees(ctx context.Context, want sight) error {
	s.requests++
	path := fmt.Sprintf("/headers?request=%d", s.requests)
	before, err := s.workload.Stats(ctx)
	if err != nil {
		return err
	}
	res, err := s.workload.Get(ctx, path, http.Header{"Hello": {"world"}})
	if err != nil {
		return err
	}
	if res.Status != http.StatusOK {
		return fmt.Errorf("status %d, want 200: %s", res.Status, res.Body)
	}
	var httpbin struct{ Headers http.Header }
	if err := json.Unmarshal(res.Body, &httpbin); err != nil {
		return fmt.Errorf("read what httpbin saw: %w: %s", err, res.Body)
	}
	after, err := s.workload.Stats(ctx)
	if err != nil {
		return err
	}
	lines, err := s.workload.Log(ctx)
	if err != nil {
		return err
	}

	counted := after[counter] - before[counter]
	logged := 0
	for _, line := range lines {
		if strings.Contains(line, fmt.Sprintf("%q:%q", "path", path)) {
			logged++
		}
	}
	return cmp.Or(
		sameStamps(res.Header.Values(ReleaseHeader), want),
		sameValues("httpbin", httpbin.Headers, "X-My-Custom-Header", only(want.headers, want.header)...),
		sameNumber("the counter "+counter+" rose by", counted, want.headers),
		sameValues("the client", res.Header, "X-Wasm-Filter", only(want.authtoken, "hello from wasm")...),
		sameValues("the client", res.Header, "X-Auth", only(want.authtoken, token)...),
		sameNumber("the proxy's log lines about one request are", uint64(logged), want.requestlog),
	)
}

// sameStamps compares what the second release's filters have added to a response. The
// response passes headers, which has the lower priority, before authtoken. Where
// requestlog stands depends on the form, because an EnvoyFilter knows no phases.
func sameStamps(got []string, want sight) error {
	log := releaseValue(requestlog)
	others := slices.DeleteFunc(slices.Clone(got), func(value string) bool { return value == log })
	var wanted []string
	for _, f := range []struct{ name, release string }{{headers, want.headers}, {authtoken, want.authtoken}} {
		if f.release == Second {
			wanted = append(wanted, releaseValue(f.name))
		}
	}
	logs := len(got) - len(others)
	if !slices.Equal(others, wanted) || logs > 1 || (logs == 1) != (want.requestlog == Second) {
		return fmt.Errorf("the client saw %s: %q, want %q, and requestlog: %t", ReleaseHeader, got, wanted, want.requestlog == Second)
	}
	return nil
}

// only returns the value if the release is not empty.
func only(release, value string) []string {
	if release == "" {
		return nil
	}
	return []string{value}
}

func sameValues(who string, h http.Header, name string, want ...string) error {
	if got := h.Values(name); !slices.Equal(got, want) {
		return fmt.Errorf("%s saw %s: %q, want %q", who, name, got, want)
	}
	return nil
}

func sameNumber(what string, got uint64, release string) error {
	want := uint64(0)
	if release != "" {
		want = 1
	}
	if got != want {
		return fmt.Errorf("%s %d, want %d", what, got, want)
	}
	return nil
}

// seesDenial sends one request. The request must meet what Istio's agent puts in the
// place of a filter that it cannot fetch.
func (s *stage) seesDenial(ctx context.Context) error {
	res, err := s.workload.Get(ctx, "/get", nil)
	if err != nil {
		return err
	}
	if res.Status != http.StatusForbidden || !strings.Contains(string(res.Body), "RBAC") {
		return fmt.Errorf("status %d, want 403 by RBAC: %s", res.Status, res.Body)
	}
	return nil
}
