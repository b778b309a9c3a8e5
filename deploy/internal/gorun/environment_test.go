package gorun

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestForeignEnvironment: programs are built for this machine and from their own modules,
// whatever a caller's builds are like.
func TestForeignEnvironment(t *testing.T) {
	for name, value := range map[string]string{"GOOS": "wasip1", "GOARCH": "wasm", "GOFLAGS": "-mod=vendor -trimpath", "GOWORK": "/nowhere/go.work"} {
		t.Setenv(name, value)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/program\n\ngo 1.26\n",
		"main.go": "package main\n\nimport (\n\t\"fmt\"\n\t\"runtime\"\n)\n\nfunc main() { fmt.Print(runtime.GOOS) }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := Output(t.Context(), dir, "run", "."); err != nil || out == "wasip1" {
		t.Errorf("the program says %q, error %v", out, err)
	}
}

// TestKnowsNoSecret: a program that the go command builds and runs sees no secret.
func TestKnowsNoSecret(t *testing.T) {
	for _, name := range []string{"REGISTRY_PASSWORD", "STORAGE_TOKEN", "COSIGN_PASSWORD", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"} {
		t.Setenv(name, "s3cret")
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/program\n\ngo 1.26\n",
		"main.go": "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() { fmt.Print(os.Environ()) }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := Output(t.Context(), dir, "run", "."); err != nil || !strings.Contains(out, "PATH=") || strings.Contains(out, "s3cret") {
		t.Errorf("the program knows %q, error %v", out, err)
	}
}

// TestTrimmedPath: a program that was built with -trimpath finds Slipway's source by go.mod.
func TestTrimmedPath(t *testing.T) {
	self := "github.com/slipway-wasm/slipway/deploy/internal/gorun/folder.go"
	got, err := root(t.Context(), self)
	if _, statErr := os.Stat(filepath.Join(got, "deploy", "internal", "gorun", "folder.go")); err != nil || statErr != nil {
		t.Errorf("found %q, error %v", got, err)
	}
	t.Chdir(t.TempDir())
	if got, err := root(t.Context(), self); err == nil || !strings.Contains(err.Error(), "-trimpath") {
		t.Errorf("outside of it found %q, error %v", got, err)
	}
}
