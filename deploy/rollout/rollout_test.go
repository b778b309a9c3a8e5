package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// The second release is the same module with other bytes.
func TestSecondRelease(t *testing.T) {
	t.Parallel()
	first := filepath.Join(t.TempDir(), "greeting.wasm")
	const module = "\x00asm\x01\x00\x00\x00"
	if err := os.WriteFile(first, []byte(module), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := secondRelease([]build.Module{{Path: first, Record: build.Record{Name: "greeting"}}}, filepath.Join(t.TempDir(), "second"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(second[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	if second[0].WasmSHA256 != hex.EncodeToString(sum[:]) || second[0].Size != int64(len(content)) || !strings.HasPrefix(string(content), module) {
		t.Errorf("it is %+v with %q", second[0], content)
	}
	if described, err := inspect.Describe(t.Context(), content); err != nil {
		t.Errorf("%v: %+v", err, described)
	}
}

// sidecar is a workload that can do everything that a mesh can.
type sidecar struct{ Workload }

func (sidecar) Lacks(scenario.Part) string { return "" }

func TestLeftOut(t *testing.T) {
	t.Parallel()
	r := &Rollout{options: Options{EnvoyVersion: "1.36.4"}, filters: []catalog.Filter{{Name: "greeting"}}}
	step := []scenario.Step{{Request: &scenario.Request{Path: "/"}}}
	proxy := func(p scenario.Proxy) scenario.Scenario {
		return scenario.Scenario{Filter: "greeting", Proxy: p, Steps: step}
	}
	for name, c := range map[string]struct {
		scenario scenario.Scenario
		want     string // empty: it is played
	}{
		"as shipped":            {proxy(scenario.Proxy{}), ""},
		"inbound":               {proxy(scenario.Proxy{Direction: scenario.Inbound}), ""},
		"an object":             {proxy(scenario.Proxy{Settings: scenario.Settings{PluginConfig: map[string]any{"a": 1}}}), ""},
		"outbound":              {proxy(scenario.Proxy{Direction: scenario.Outbound}), "where requests come in"},
		"a text":                {proxy(scenario.Proxy{Settings: scenario.Settings{PluginConfig: "a=1"}}), "this one is a text"},
		"workers":               {proxy(scenario.Proxy{Workers: 4}), "Istio's agent starts the proxy"},
		"another Envoy":         {proxy(scenario.Proxy{Except: []scenario.Exception{{Envoy: "1.36", Reason: "it is too old"}}}), "it is too old"},
		"a filter not in it":    {proxy(scenario.Proxy{Chain: []scenario.Link{{Filter: "greeting"}, {Filter: "other"}}}), "filter other: it is not rolled out"},
		"a refusal":             {scenario.Scenario{Filter: "greeting", Steps: []scenario.Step{{Expect: scenario.Expect{Refusal: &scenario.Refusal{}}}}}, "a refused configuration"},
		"a cluster with a name": {scenario.Scenario{Filter: "greeting", Steps: step, Services: map[string]scenario.Service{"auth": {Cluster: "auth"}}}, "${services.auth.cluster}"},
	} {
		got := r.leftOut(sidecar{}, &c.scenario)
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s is left out because %q, want %q", name, got, c.want)
		}
	}
}

// What was left out is counted.
func TestReport(t *testing.T) {
	t.Parallel()
	var r report
	r.add(row{plan: "greeting", step: "1.0.0 is live"})
	r.add(row{plan: "greeting", step: "1.1.0 is live", failed: true})
	r.leave("greeting", "refuses", "a refused configuration")
	var out strings.Builder
	r.print(&out)
	for _, want := range []string{"FAILED", "left out of greeting: refuses: a refused configuration\n", "2 steps, 1 failed, 1 left out\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
