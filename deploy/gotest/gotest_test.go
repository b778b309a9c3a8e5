package gotest_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/gotest"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// repository writes a repository with two modules.
func repository(t *testing.T, testOfInner string) string {
	t.Helper()
	dir := t.TempDir()
	gotest.WriteFiles(t, map[string]string{
		// The tools come from the root module's go.mod, so it must be ours.
		filepath.Join(dir, "go.mod"):                     read(t, "../../go.mod"),
		filepath.Join(dir, "go.sum"):                     read(t, "../../go.sum"),
		filepath.Join(dir, "outer_test.go"):              "package outer\n\nimport \"testing\"\n\nfunc TestOuter(*testing.T) {}\n",
		filepath.Join(dir, "inner/go.mod"):               "module example.com/inner\n\ngo 1.22\n",
		filepath.Join(dir, "inner/inner_test.go"):        testOfInner,
		filepath.Join(dir, "inner/testdata/data/go.mod"): "module example.com/data\n",
		filepath.Join(dir, "test/e2e/e2e_test.go"):       "package e2e\n\nimport \"testing\"\n\nfunc TestWhole(t *testing.T) { t.Fatal(\"it has a target of its own\") }\n",
	})
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestModules(t *testing.T) {
	t.Parallel()
	modules, err := gotest.Modules(repository(t, "package inner\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(modules, []string{".", "inner"}) {
		t.Errorf("modules are %v", modules)
	}
}

func TestTest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body        string
		refuseSkips bool
		wantErr     string
		wantOut     string
	}{
		"passes": {body: `if os.Getenv("SLIPWAY_DIST") == "" { t.Fatal("no SLIPWAY_DIST") }`, refuseSkips: true},
		"fails":  {body: `t.Fatal("this is why")`, wantErr: "test module inner: ", wantOut: "this is why"},
		"skips":  {body: `t.Skip("nginx is missing; apt-get install nginx")`, wantOut: "nginx is missing; apt-get install nginx"},
		"skips where none may": {
			body: `t.Skip("nginx is missing")`, refuseSkips: true,
			wantErr: "test module inner: skipped: example.com/inner.TestInner", wantOut: "nginx is missing",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := gotest.Test(t.Context(), gotest.Options{
				Root:        repository(t, "package inner\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Getenv\n\nfunc TestInner(t *testing.T) { "+test.body+" }\n"),
				Dist:        t.TempDir(),
				RefuseSkips: test.refuseSkips,
				Out:         &out,
				Err:         &out,
			})
			if (err == nil) != (test.wantErr == "") || (err != nil && !strings.Contains(err.Error(), test.wantErr)) {
				t.Errorf("error is %v, want %q in it; output:\n%s", err, test.wantErr, out.String())
			}
			if !strings.Contains(out.String(), test.wantOut) {
				t.Errorf("output lacks %q:\n%s", test.wantOut, out.String())
			}
		})
	}
}

// TestForeignPlatform: tests run on this machine, whatever the caller builds for.
func TestForeignPlatform(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := gotest.Test(t.Context(), gotest.Options{
		Root: repository(t, "package inner\n\nimport \"testing\"\n\nfunc TestInner(*testing.T) {}\n"),
		Dist: t.TempDir(), Out: &out, Err: &out,
		Env: append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm"),
	})
	if err != nil {
		t.Errorf("error %v, output:\n%s", err, out.String())
	}
}

// TestE2E: the scenarios are played with the modules in dist, and the repository's own tests run
// with them.
func TestE2E(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status  int
		body    string
		wantErr string
	}{
		"holds":          {204, `if os.Getenv("GIVEN") != "yes" || os.Getenv("SLIPWAY_DIST") == "" { t.Fatal("another environment") }`, ""},
		"scenario fails": {205, "", "e2e: exit status 1"},
		"own test fails": {204, `t.Fatal("this is why")`, "test/e2e: exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, dist := repository(t, "package inner\n"), t.TempDir()
			module := gotest.WriteFilter(t, root, dist)
			gotest.WriteFiles(t, map[string]string{
				filepath.Join(root, "filter/headers/scenarios/answers.yaml"): fmt.Sprintf(
					"description: It answers.\nsteps:\n- name: it answers\n  request: {path: /status/204}\n  expect: {response: {status: %d}}\n", test.status),
				filepath.Join(root, "test/e2e/e2e_test.go"): "package e2e\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Getenv\n\nfunc TestWhole(t *testing.T) {\n" + test.body + "\n}\n",
			})
			var out bytes.Buffer
			report, err := gotest.E2E(t.Context(), gotest.Options{Root: root, Dist: dist, Env: append(os.Environ(), "GIVEN=yes"), Out: &out, Err: &out})
			if (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Fatalf("error is %v, want %q in it; output:\n%s", err, test.wantErr, out.String())
			}
			if junit := read(t, filepath.Join(dist, scenario.JUnitFile)); strings.Contains(junit, "<failure") != (test.status != 204) {
				t.Errorf("the JUnit file has\n%s", junit)
			}
			if test.status != 204 {
				if want := "- 205\n"; !strings.Contains(out.String(), want) {
					t.Errorf("output lacks %q:\n%s", want, out.String())
				}
				return
			}
			if report.Modules["headers"] != module.WasmSHA256 || report.Count(scenario.Passed) != 2 || len(report.EnvoyVersions) != 1 {
				t.Errorf("%+v; output:\n%s", report, out.String())
			}
		})
	}
}
