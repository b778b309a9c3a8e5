package targets

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/inspect/wasmtest"
	"github.com/slipway-wasm/slipway/deploy/internal/advice"
	"github.com/slipway-wasm/slipway/deploy/variables"
	"github.com/slipway-wasm/slipway/deploy/verify"
)

// TestSourcesChanged: a module that was built at one commit is neither published nor
// described as a build of the next commit.
func TestSourcesChanged(t *testing.T) {
	project(t)
	ctx, c := t.Context(), variables.Values{}
	targets := map[string]func(Output) error{
		"push":   func(o Output) error { return push(ctx, c, "1.0.0", o) },
		"upload": func(o Output) error { return upload(ctx, c, "1.0.0", o) },
		"sbom":   func(o Output) error { return attachSBOMs(ctx, c, "1.0.0", o) },
		"attest": func(o Output) error { return attestVersion(ctx, c, "1.0.0", o) },
	}
	for _, name := range []string{"push", "upload", "sbom", "attest"} {
		run(t, targets[name])
	}
	for name, change := range map[string]struct{ file, content, want string }{
		"source":     {"filter/headers/main.go", "package main\n\nfunc main() { println() }\n", "headers: the sources changed since this was built: filter/headers/main.go; check out"},
		"new source": {"filter/headers/new.go", "package main\n", "headers: the sources changed since this was built: filter/headers/new.go; check out"},
		"language":   {"go.mod", "module example.com/filters\n\ngo 1.23\n", "authtoken: the sources changed since this was built: go.mod; check out"},
	} {
		before, readErr := os.ReadFile(change.file)
		write(t, change.file, change.content)
		git(t, "add", ".")
		git(t, "commit", "-q", "-m", name)
		for target, do := range targets {
			var out bytes.Buffer
			err := advice.Add(do(Output{Out: &out, Err: &out}))
			if !errors.Is(err, build.ErrSourcesChanged) || !strings.Contains(err.Error(), change.want) || !strings.HasSuffix(err.Error(), `or run "go tool mage build"`) {
				t.Errorf("%s, %s: error %v, want %q", name, target, err, change.want)
			}
		}
		if readErr != nil {
			readErr = os.Remove(change.file)
		} else {
			readErr = os.WriteFile(change.file, before, 0o600)
		}
		if readErr != nil {
			t.Fatal(readErr)
		}
		git(t, "add", ".")
		git(t, "commit", "-q", "-m", "revert "+name)
	}
	// Another commit with the same sources is not a change.
	run(t, func(o Output) error { return push(ctx, c, "1.1.0", o) })
}

// TestCompiledInAndIgnored: a revision without -dirty names exactly what was compiled.
func TestCompiledInAndIgnored(t *testing.T) {
	for name, change := range map[string]func(){
		"ignored": func() { write(t, "filter/headers/new_ignored.go", "package main\n") },
		"not shown": func() {
			git(t, "config", "status.showUntrackedFiles", "no")
			write(t, "filter/headers/new.go", "package main\n")
		},
		"assumed unchanged": func() {
			git(t, "update-index", "--assume-unchanged", "filter/headers/main.go")
			write(t, "filter/headers/main.go", "package main // changed\n")
		},
		"metadata": func() {
			git(t, "update-index", "--skip-worktree", "filter/headers/filter.yaml")
			write(t, "filter/headers/filter.yaml", "title: T\ndescription: Another.\nlicense: Apache-2.0\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			project(t)
			revision := func(version string) string {
				t.Helper()
				c := variables.Values{Filters: []string{"headers"}}
				run(t, func(o Output) error { return push(t.Context(), c, version, o) })
				found := runJSON[verify.Report](t, func(o Output) error { return verifyPublished(t.Context(), c, "headers:"+version, false, o) })
				return found.Manifests[0].Annotations[ocispec.AnnotationRevision]
			}
			clean := revision("1.0.0")
			change()
			writeBuilt(t, wasmtest.Filter())
			if dirty := revision("1.1.0"); strings.HasSuffix(clean, "-dirty") || dirty != clean+"-dirty" {
				t.Errorf("the revision was %s, and is %s", clean, dirty)
			}
		})
	}
}

// A job that publishes another job's build has its dist and the same commit, in another
// folder.
func TestPublishWhatAnotherJobBuilt(t *testing.T) {
	project(t)
	dist, err := filepath.Abs("dist")
	if err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, "clone", "-q", ".", clone)
	t.Chdir(clone)
	if err := os.CopyFS("dist", os.DirFS(dist)); err != nil {
		t.Fatal(err)
	}
	run(t, func(o Output) error { return push(t.Context(), variables.Values{}, "1.0.0", o) })
	run(t, func(o Output) error { return upload(t.Context(), variables.Values{}, "1.0.0", o) })
}
