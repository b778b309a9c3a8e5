package repository

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/gotest"
)

// heavy are the modules that no target may import.
var heavy = []string{
	"cloud.google.com/",
	"github.com/Azure/",
	"github.com/aws/",
	"github.com/docker/docker",
	"github.com/envoyproxy/gateway",
	"github.com/sigstore/",
	"gocloud.dev",
	"google.golang.org/api",
	"helm.sh/",
	"istio.io/",
	"k8s.io/",
	"sigs.k8s.io/",
}

// light lists exceptions: small packages whose module path begins like a heavy one's.
var light = []string{"sigs.k8s.io/yaml"}

// most is the limit on the number of packages in the magefile, with the standard
// library's. Raise it for what is worth it to everybody.
const most = 400

// TestMagefile keeps the magefile light: "go tool mage -l" compiles everything that it
// imports, for everybody, before anything else happens. Heavy code belongs in a module
// or a command of its own, which a target runs.
func TestMagefile(t *testing.T) {
	t.Parallel()
	packages, err := dependencies(t.Context(), "../..", "-tags", "mage", ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		if isHeavy(p) {
			t.Errorf("the magefile imports %s; put what needs it into a module or a command of its own (go mod why -m, go list -deps tell the way)", p)
		}
	}
	t.Logf("the magefile is made of %d packages", len(packages))
	if len(packages) > most {
		t.Errorf("the magefile is made of %d packages, more than %d", len(packages), most)
	}
}

// The check can fail: the program that makes Kubernetes objects is heavy.
func TestHeavy(t *testing.T) {
	t.Parallel()
	packages, err := dependencies(t.Context(), "../../deploy/manifest/render", ".")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, p := range packages {
		for _, prefix := range heavy {
			if isHeavy(p) && strings.HasPrefix(p, prefix) {
				found[prefix] = true
			}
		}
	}
	for _, want := range []string{"istio.io/", "k8s.io/", "github.com/envoyproxy/gateway"} {
		if !found[want] {
			t.Errorf("%s is not seen where it is imported", want)
		}
	}
}

func isHeavy(path string) bool {
	for _, prefix := range light {
		if strings.HasPrefix(path, prefix) {
			return false
		}
	}
	for _, prefix := range heavy {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// dependencies lists the import paths of all packages that a package needs.
func dependencies(ctx context.Context, dir string, args ...string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-deps", "-json=ImportPath"}, args...)...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, errors.New(stderr.String())
	}
	var paths []string
	decoder := json.NewDecoder(strings.NewReader(string(output)))
	for {
		var p struct{ ImportPath string }
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return paths, nil
		} else if err != nil {
			return nil, err
		}
		paths = append(paths, p.ImportPath)
	}
}

// TestDirection: a value flows from filter/ and deploy/ to test/, and no package
// reaches back, not even in its tests.
func TestDirection(t *testing.T) {
	t.Parallel()
	modules, err := gotest.Modules("../..")
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for _, module := range modules {
		if strings.HasPrefix(module, "test") {
			continue
		}
		imports, err := importsOf(t.Context(), filepath.Join("../..", module))
		if err != nil {
			t.Fatal(err)
		}
		for path, imported := range imports {
			packages++
			for _, i := range imported {
				if reachesBack(path, i) {
					t.Errorf("%s imports %s", path, i)
				}
			}
		}
	}
	if packages < 30 {
		t.Errorf("only %d packages were looked at", packages)
	}
}

const slipway = "github.com/slipway-wasm/slipway/"

// reachesBack reports whether the package of a path must not import another: deploy/
// imports no test/, and filter/ imports neither.
func reachesBack(path, imported string) bool {
	switch {
	case strings.HasPrefix(path, slipway+"deploy/"):
		return strings.HasPrefix(imported, slipway+"test/")
	case strings.HasPrefix(path, slipway+"filter/"):
		return strings.HasPrefix(imported, slipway+"test/") || strings.HasPrefix(imported, slipway+"deploy/")
	}
	return false
}

// The check can fail.
func TestReachesBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, imported string
		want           bool
	}{
		{"deploy/oci", "test/e2e", true},
		{"deploy/oci", "deploy/build", false},
		{"filter/headers", "deploy/build", true},
		{"filter/headers", "filter/conf", false},
		{"test/e2e", "deploy/envoy", false},
	} {
		if got := reachesBack(slipway+c.path, slipway+c.imported); got != c.want {
			t.Errorf("%s imports %s: %v", c.path, c.imported, got)
		}
	}
}

// importsOf lists what each package of a module imports, its tests included.
func importsOf(ctx context.Context, module string) (map[string][]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOWORK=off")
	output, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	imports := map[string][]string{}
	decoder := json.NewDecoder(strings.NewReader(string(output)))
	for {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return imports, nil
		} else if err != nil {
			return nil, err
		}
		imports[p.ImportPath] = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
	}
}
