// Package light keeps the magefile light.
//
// It exists because "go tool mage -l" compiles whatever the magefile imports, for
// everybody, before anything else happens. What is heavy belongs in a module or a
// command of its own, which a target runs.
package light

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
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

// light are exceptions: small packages whose module's path is that of a heavy one.
var light = []string{"sigs.k8s.io/yaml"}

// most is how many packages the magefile may be made of, the standard library's
// included. Raise it for what is worth it to everybody.
const most = 400

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

// dependencies lists the import paths that a package is made of.
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
