package play_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/play"
)

// bare is a place that has nothing but an address for requests.
type bare struct{ url string }

func (b bare) Lacks(scenario.Part) string { return "it is bare" }
func (b bare) URL() string                { return b.url }
func (b bare) Authority() string          { return "" }
func (b bare) Admin(context.Context, string) (string, error) {
	return "", errors.New("it has no admin interface")
}
func (b bare) Log(context.Context) ([]string, error) { return nil, nil }

// TestLeftOut: what a place cannot do is left out with the reason. The rest of a step is played,
// and fails where it does not hold.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	t.Cleanup(server.Close)
	one := int64(1)
	step := func(status int64) scenario.Step {
		return scenario.Step{Name: "it is seen", Request: &scenario.Request{}, Expect: scenario.Expect{
			Response:   &scenario.Response{Status: status},
			Upstream:   &scenario.Seen{Method: "GET"},
			Statistics: map[string]scenario.Number{"a": {By: &one}},
			Prometheus: map[string]scenario.Number{"a": {By: &one}},
			Log:        []scenario.Line{{Level: "debug", Contains: scenario.Values{"a"}}, {Contains: scenario.Values{"a"}}},
			Never:      []scenario.Phrase{{Contains: scenario.Values{"a"}}},
			Refusal:    &scenario.Refusal{Message: scenario.Phrase{Contains: scenario.Values{"a"}}},
		}}
	}
	const why = ": it is bare"
	parts := []string{"what the upstream saw" + why, "statistics" + why, "Prometheus's statistics" + why, "the log below level info" + why, "the log" + why, "a refused configuration" + why}
	for name, test := range map[string]struct {
		s     scenario.Scenario
		steps int
		left  []string
		fails bool
	}{
		"parts":           {scenario.Scenario{Steps: []scenario.Step{step(202)}}, 1, parts, false},
		"the rest fails":  {scenario.Scenario{Steps: []scenario.Step{step(200)}}, 1, nil, true},
		"all of it":       {scenario.Scenario{Services: map[string]scenario.Service{"a": {}}, Steps: []scenario.Step{step(202)}}, 0, []string{"scripted services" + why}, false},
		"for two reasons": {scenario.Scenario{Upstream: &scenario.Script{}, Proxy: scenario.Proxy{Workers: 2}, Steps: []scenario.Step{step(202)}}, 0, []string{"worker threads" + why, "a scripted upstream" + why}, false},
	} {
		played, err := play.Play(t.Context(), &test.s, bare{server.URL})
		if (err != nil) != test.fails || played.Steps != test.steps {
			t.Errorf("%s: %+v, %v", name, played, err)
		}
		slices.Sort(played.LeftOut)
		slices.Sort(test.left)
		if !slices.Equal(played.LeftOut, test.left) && !test.fails {
			t.Errorf("%s: left out are %q, want %q", name, played.LeftOut, test.left)
		}
	}
}
