package gotest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/gotest"
)

// repository writes a repository with two modules.
func repository(t *testing.T, testOfInner string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		// The tools come from the root module's go.mod, so it must be ours.
		"go.mod":                     read(t, "../../go.mod"),
		"go.sum":                     read(t, "../../go.sum"),
		"outer_test.go":              "package outer\n\nimport \"testing\"\n\nfunc TestOuter(*testing.T) {}\n",
		"inner/go.mod":               "module example.com/inner\n\ngo 1.22\n",
		"inner/inner_test.go":        testOfInner,
		"inner/testdata/data/go.mod": "module example.com/data\n",
		"test/e2e/e2e_test.go":       "package e2e\n\nimport \"testing\"\n\nfunc TestWhole(t *testing.T) { t.Fatal(\"it has a target of its own\") }\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
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

// E2E passes the modules on unchanged, and returns what the tests report to have run.
func TestE2E(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ body, wantErr string }{
		"plays": {body: `os.WriteFile(os.Getenv("SLIPWAY_E2E_REPORT"), []byte("{\"modules\": {\"headers\": \"" + os.Getenv("SLIPWAY_DIST") + "\"}, \"envoyVersions\": [\"1.40.0\"], \"checks\": 3}"), 0o600)
			if os.Getenv("GIVEN") != "yes" { t.Fatal("another environment") }`},
		"fails":        {body: `t.Fatal("this is why")`, wantErr: "exit status 1"},
		"says nothing": {body: ``, wantErr: "played.json: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, dist := repository(t, "package inner\n"), t.TempDir()
			test.body = "package e2e\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Getenv\n\nfunc TestWhole(t *testing.T) {\n" + test.body + "\n}\n"
			if err := os.WriteFile(filepath.Join(root, "test", "e2e", "e2e_test.go"), []byte(test.body), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			played, err := gotest.E2E(t.Context(), gotest.Options{Root: root, Dist: dist, Env: append(os.Environ(), "GIVEN=yes"), Out: &out, Err: &out})
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Errorf("error is %v, want %q in it; output:\n%s", err, test.wantErr, out.String())
				}
				return
			}
			if err != nil || played.Modules["headers"] != dist || played.Checks != 3 || !slices.Equal(played.EnvoyVersions, []string{"1.40.0"}) {
				t.Errorf("%+v, %v; output:\n%s", played, err, out.String())
			}
		})
	}
}
