package importer

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
)

// The magefile releases in such a repository: the filter is built and published in both
// embedded stores, and its manifests name what was published.
func TestRelease(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	if list := run(t, dir, "go", "tool", "mage", "-l"); !strings.Contains(list, "release") || !strings.Contains(list, "push") {
		t.Errorf("its targets are\n%s", list)
	}
	run(t, dir, "go", "tool", "mage", "release", "1.0.0")

	modules, err := build.Load(filepath.Join(dir, "dist"), []string{"greeting"})
	if err != nil {
		t.Fatal(err)
	}
	stored := filepath.Join(dir, "dist", "storage", "greeting", "1.0.0", "greeting.wasm")
	if content, err := os.ReadFile(stored + ".sha256"); err != nil || !strings.HasPrefix(string(content), modules[0].WasmSHA256) {
		t.Errorf("the storage has %q, %v; the module is %s", content, err, modules[0].WasmSHA256)
	}
	var published []struct{ Version, ManifestDigest string }
	list := run(t, dir, "go", "tool", "mage", "list", "-json")
	if err := json.Unmarshal([]byte(list), &published); err != nil || len(published) == 0 || published[0].Version != "1.0.0" {
		t.Fatalf("%v, the registry has\n%s", err, list)
	}
	for name, want := range map[string]string{
		"wasmplugin":      published[0].ManifestDigest,
		"wasmplugin-http": modules[0].WasmSHA256,
	} {
		if got := manifests(t, filepath.Join(dir, "dist", "manifests", "greeting", name)); !strings.Contains(got, want) {
			t.Errorf("%s lacks %s:\n%s", name, want, got)
		}
	}
	run(t, dir, "go", "tool", "mage", "inspect", "greeting:1.0.0")
	run(t, dir, "go", "tool", "mage", "verify", "1.0.0")

	// What the programs link is fetched with them. It is no part of this repository.
	packages := run(t, dir, "go", "list", "-deps", "-tags=mage", ".")
	for _, heavy := range []string{"k8s.io/", "istio.io/", "gocloud.dev", "github.com/aws/", "github.com/Azure/", "cloud.google.com/", "github.com/sigstore/"} {
		if strings.Contains("\n"+packages, "\n"+heavy) {
			t.Errorf("the magefile needs %s:\n%s", heavy, packages)
		}
	}
	if !strings.Contains(packages, slipway+"/deploy/targets\n") {
		t.Errorf("the magefile's packages are\n%s", packages)
	}
}

// repository writes a repository with one filter that requires Slipway as a module, from
// the module proxy.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "magefile.go"), magefile(t))
	write(t, filepath.Join(dir, ".gitignore"), "/dist/\n")
	requireModule(t, filepath.Join(dir, "filter"), "filter", "go 1.22.0\n")
	requireModule(t, dir, ".", "go 1.26\n\ntool github.com/magefile/mage\n")
	run(t, dir, "git", "init", "--quiet")
	commit(t, dir)
	return dir
}

// commit commits everything.
func commit(t *testing.T, dir string) {
	t.Helper()
	run(t, dir, "git", "add", ".")
	run(t, dir, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "-m", "Change")
}

// requireModule writes a go.mod that requires one of Slipway's modules.
func requireModule(t *testing.T, dir, folder, rest string) {
	t.Helper()
	write(t, filepath.Join(dir, "go.mod"), fmt.Sprintf("module %s\n\n%s\nrequire %s %s\n",
		path.Join("example.com/acme/filters", folder), rest, path.Join(slipway, folder), released.Version))
	run(t, dir, "go", "mod", "tidy")
}

// magefile returns the magefile that README.md gives to other repositories.
func magefile(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin = "```go\n//go:build mage\n"
	_, text, found := strings.Cut(string(page), begin)
	text, _, closed := strings.Cut(text, "```\n")
	if !found || !closed {
		t.Fatalf("README.md has no block that begins with %q", begin)
	}
	return "//go:build mage\n" + text
}

// manifests returns all manifests in a folder.
func manifests(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs a command and returns what it printed to standard output.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := command(t, dir, name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, output, stderr.String())
	}
	return string(output)
}

func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	// The configuration of this machine does not reach this repository.
	cmd.Env = append(slices.Concat(os.Environ(), released.Environment), "GOWORK=off", "COMPILER=go", "FILTERS=", "REGISTRY=", "STORAGE_URL=", "STORAGE_PUBLIC_URL=", "SHAPES=",
		"SLIPWAY_DIST="+filepath.Join(dir, "dist"))
	return cmd
}
