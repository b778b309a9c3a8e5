package gotest

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/internal/children"
)

func TestEnvironment(t *testing.T) {
	t.Parallel()
	stays := []string{"PATH=/bin", "http_proxy=http://proxy", "LC_ALL=C", "PIP_INDEX_URL=https://pip", "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "SystemRoot=C:\\", "CI="}
	goes := []string{
		"DOCKER_AUTH_CONFIG={}", "SIGSTORE_ID_TOKEN=a", "GH_ENTERPRISE_TOKEN=a", "GITHUB_TOKEN=a", "KUBECONFIG=a", "NPM_TOKEN=a", "SSH_AUTH_SOCK=a",
		"GOOGLE_APPLICATION_CREDENTIALS=a", "FOO_SECRET=a", "REGISTRY=a", "REGISTRY_PASSWORD=a", "SIGN_KEY=a", "FILTERS=a", "PATH_SECRET=a", "=C:=a", "",
	}
	if got := children.Environment(slices.Concat(goes, stays, goes)); !slices.Equal(got, stays) {
		t.Errorf("what stays is %q, and should be %q", got, stays)
	}
}

// TestTestsKnowLittle runs a test that fails if it sees a secret. It runs it as "mage test"
// does, and as "mage e2e" does.
func TestTestsKnowLittle(t *testing.T) {
	for _, name := range []string{"DOCKER_AUTH_CONFIG", "SIGSTORE_ID_TOKEN", "GH_ENTERPRISE_TOKEN", "KUBECONFIG", "NPM_TOKEN", "SSH_AUTH_SOCK", "FOO_SECRET", "COSIGN_PASSWORD"} {
		t.Setenv(name, "s3cret")
	}
	root := t.TempDir()
	const test = `package inner

import (
	"os"
	"strings"
	"testing"
)

func TestKnows(t *testing.T) {
	for _, entry := range os.Environ() {
		if strings.Contains(entry, "s3cret") {
			t.Error(entry)
		}
	}
}
`
	files, dist := map[string]string{}, t.TempDir()
	for name, content := range map[string]string{"go.mod": "module example.com/outer\n\ngo 1.22\n", "outer_test.go": test, "test/e2e/e2e_test.go": test} {
		files[filepath.Join(root, name)] = content
	}
	WriteFiles(t, files)
	WriteFilter(t, root, dist)
	var out bytes.Buffer
	opts := Options{Root: root, Dist: dist, Out: &out, Err: &out}
	if err := Test(t.Context(), opts); err != nil {
		t.Errorf("Test: %v\n%s", err, out.String())
	}
	if _, err := E2E(t.Context(), opts); err != nil {
		t.Errorf("E2E: %v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "DONE 1 test") {
		t.Errorf("no test ran:\n%s", out.String())
	}
}
