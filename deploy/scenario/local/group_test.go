package local

import (
	"slices"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// TestGroup: scenarios share an Envoy unless they would disturb each other.
func TestGroup(t *testing.T) {
	t.Parallel()
	scenarioPart := func(name, filter, configuration string, counted ...string) *part {
		return &part{Scenario: &scenario.Scenario{Name: name}, plugins: []scenario.Plugin{{Filter: filter, Configuration: configuration}}, counted: counted}
	}
	workers := scenarioPart("workers", "a", "")
	workers.Proxy.Workers = 4
	calls, callsToo := scenarioPart("calls", "a", ""), scenarioPart("calls-too", "b", "")
	calls.clusters, callsToo.clusters = []string{"auth"}, []string{"auth"}
	for name, test := range map[string]struct {
		parts []*part
		want  [][]string
	}{
		"nothing in common":        {[]*part{scenarioPart("one", "a", "", "wasmcustom.n"), scenarioPart("two", "b", "", "wasmcustom.n")}, [][]string{{"one", "two"}}},
		"nothing counted":          {[]*part{scenarioPart("one", "a", ""), scenarioPart("two", "a", "")}, [][]string{{"one", "two"}}},
		"the same filter counts":   {[]*part{scenarioPart("one", "a", "", "wasmcustom.n"), scenarioPart("two", "a", "")}, [][]string{{"one"}, {"two"}}},
		"another one comes first":  {[]*part{scenarioPart("one", "a", ""), scenarioPart("two", "a", "", "wasmcustom.n")}, [][]string{{"one"}, {"two"}}},
		"a name of its own":        {[]*part{scenarioPart("one", "a", "{m: mine}", "wasmcustom.mine"), scenarioPart("two", "a", "")}, [][]string{{"one", "two"}}},
		"both have the name":       {[]*part{scenarioPart("one", "a", "{m: mine}", "wasmcustom.mine"), scenarioPart("two", "a", "{m: mine}")}, [][]string{{"one"}, {"two"}}},
		"Envoy's own":              {[]*part{scenarioPart("one", "a", "", "cluster.upstream.rq"), scenarioPart("two", "b", "")}, [][]string{{"one"}, {"two"}}},
		"Envoy's own, Prometheus":  {[]*part{scenarioPart("one", "a", "", "envoy_server_live"), scenarioPart("two", "b", "")}, [][]string{{"one"}, {"two"}}},
		"workers":                  {[]*part{scenarioPart("one", "a", ""), workers, scenarioPart("two", "a", "")}, [][]string{{"one", "two"}, {"workers"}}},
		"the same cluster":         {[]*part{calls, callsToo, scenarioPart("two", "a", "")}, [][]string{{"calls", "two"}, {"calls-too"}}},
		"the first where it fits":  {[]*part{scenarioPart("one", "a", "", "wasmcustom.n"), scenarioPart("two", "a", "", "wasmcustom.n"), scenarioPart("b", "b", "")}, [][]string{{"one", "b"}, {"two"}}},
		"what nobody is told, too": {nil, nil},
	} {
		var got [][]string
		for _, group := range groupParts(test.parts) {
			var names []string
			for _, p := range group {
				names = append(names, p.Name)
			}
			got = append(got, names)
		}
		if !slices.EqualFunc(got, test.want, slices.Equal[[]string]) {
			t.Errorf("%s: the groups are %v, want %v", name, got, test.want)
		}
	}
}
