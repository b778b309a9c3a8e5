package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewRepository: what "new -repository" writes into an empty folder builds, passes its tests
// and is released as it is.
func TestNewRepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	arguments := []string{"tool", "mage", "-w", dir, "new", "hello", "-repository=github.com/Acme/Filters", "-slipway=" + released.Version}
	list := run(t, "../..", "go", arguments...)
	for _, want := range []string{".github/workflows/release.yml", ".gitignore", "filter/go.mod", "filter/go.sum", "filter/hello/main.go", "go.mod", "go.sum", "magefile.go"} {
		if !strings.Contains("\n"+list, "\n"+filepath.FromSlash(want)+"\n") {
			t.Errorf("it does not list %s:\n%s", want, list)
		}
	}
	for file, want := range map[string]string{
		"go.mod":                        "module github.com/Acme/Filters\n",
		"filter/go.mod":                 "\ngo 1.22.0\n",
		".github/workflows/release.yml": "      registry: ghcr.io/acme/filters\n      slipway: refs/tags/" + released.Version + " #",
	} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(content), want) || strings.Contains(string(content), "replace") {
			t.Errorf("%s, %v, should have %q:\n%s", file, err, want, content)
		}
	}
	cmd := command(t, "../..", "go", arguments...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "go.mod exists already") {
		t.Errorf("a second time: %v\n%s", err, out)
	}
	run(t, dir, "git", "init", "--quiet")
	run(t, dir, "git", "add", ".")
	run(t, dir, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "-m", "First")
	run(t, dir, "go", "tool", "mage", "release", "0.1.0")
	run(t, dir, "go", "tool", "mage", "verify", "0.1.0")
}
