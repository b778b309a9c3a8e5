package gotest

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// TestPlaces: the error of a test run names the file and line at which a test failed, also in a
// package below the module's folder, and at which one could not be built.
func TestPlaces(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	WriteFiles(t, map[string]string{
		filepath.Join(root, "go.mod"):                     "module example.com/a\n\ngo 1.26\n",
		filepath.Join(root, "filter/headers/h_test.go"):   "package headers\n\nimport \"testing\"\n\nfunc TestHeaders(t *testing.T) {\n\tt.Run(\"inner\", func(t *testing.T) {\n\t\tt.Error(\"503 was seen\")\n\t})\n\tt.Log(\"of no interest\")\n}\n\nfunc TestFine(t *testing.T) { t.Log(\"fine\") }\n",
		filepath.Join(root, "filter/broken/main.go"):      "package broken\n\nvar a int = \"\"\n",
		filepath.Join(root, "filter/broken/main_test.go"): "package broken\n\nimport \"testing\"\n\nfunc TestBroken(*testing.T) {}\n",
	})
	var out bytes.Buffer
	err := Test(t.Context(), Options{Root: root, Dist: t.TempDir(), Out: &out, Err: &out})
	if err == nil {
		t.Fatalf("the tests passed:\n%s", out.String())
	}
	for _, want := range []string{
		filepath.Join(root, "filter/headers/h_test.go") + ":7: TestHeaders/inner: 503 was seen\n",
		filepath.Join(root, "filter/broken/main.go") + ":3:13: cannot use",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error has no %q:\n%v\n%s", want, err, out.String())
		}
	}
	if strings.Contains(err.Error(), "fine") {
		t.Errorf("the error names what passed:\n%v", err)
	}
}

func TestFailedScenarios(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	WriteFiles(t, map[string]string{
		filepath.Join(root, "filter/headers/filter.yaml"):           "title: T\n",
		filepath.Join(root, "filter/headers/scenarios/counts.yaml"): "description: D\nsteps:\n- name: one\n- request: {path: /}\n  name: it's two\n",
	})
	result := func(name string, outcome scenario.Outcome, reason string) scenario.Result {
		return scenario.Result{Scenario: name, Filter: "headers", EnvoyVersion: "1.40.0", Outcome: outcome, Reason: reason}
	}
	err := failedScenarios(root, scenario.Report{Results: []scenario.Result{
		result("counts", scenario.Passed, ""),
		result("counts", scenario.LeftOut, "no cluster"),
		result("counts", scenario.Failed, "/x/counts.yaml: step \"it's two\":\n  the status is 503\n  and should be 200"),
		result("counts", scenario.Failed, "Envoy ended"),
		result("as-shipped", scenario.Failed, "refused"),
	}})
	want := filepath.Join(root, "filter/headers/scenarios/counts.yaml") + ":5: in Envoy 1.40.0: step \"it's two\": the status is 503 and should be 200\n" +
		filepath.Join(root, "filter/headers/scenarios/counts.yaml") + ":1: in Envoy 1.40.0: Envoy ended\n" +
		filepath.Join(root, "filter/headers/filter.yaml") + ":1: in Envoy 1.40.0: refused"
	if err == nil || err.Error() != want {
		t.Errorf("the error is\n%v\nand should be\n%s", err, want)
	}
	if err := failedScenarios(root, scenario.Report{}); err != nil {
		t.Error(err)
	}
}
