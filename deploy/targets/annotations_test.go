package targets

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/gotest"
	rel "github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// annotating is set in a child process of TestAnnotations, which ends with the error of a target.
const annotating = "SLIPWAY_TEST_ANNOTATE"

// TestAnnotations: on GitHub Actions, a mistake in a filter's code, its filter.yaml or a scenario
// is shown once, at its line of the file.
func TestAnnotations(t *testing.T) {
	if os.Getenv(annotating) != "" {
		for _, variable := range variables.Describe[variables.Values]() {
			t.Setenv(variable.Name, "")
		}
		err := do(nil, func(c variables.Values, out Output) error { return buildFilters(t.Context(), c, out) })
		if os.Getenv(annotating) == "scenario" {
			_, err = gotest.E2E(t.Context(), gotest.Options{Dist: "dist"})
		}
		_ = ended(ended(err)) // as a target does that calls another
		return
	}
	const code, description = "package main\n\nfunc main() {}\n", "title: T\ndescription: D.\nlicense: Apache-2.0\n"
	root := t.TempDir()
	for _, file := range []struct{ name, content string }{{".git/HEAD", ""}, {"filter/go.mod", "module example.com/filters\n\ngo 1.22\n"}} {
		put(t, filepath.Join(root, file.name), file.content)
	}
	for name, c := range map[string]struct{ code, description, scenario, want string }{
		"code":        {strings.Replace(code, "{}", "{ x() }", 1), description, "", "::error file=filter/headers/main.go,line=3,col=15::undefined: x\n"},
		"filter.yaml": {code, description + "other: 1\n", "", "::error file=filter/headers/filter.yaml,line=4,col=1::"},
		"scenario":    {code, description, "description: D\nsteps:\n- name: 100%\n  unknown: 1\n", "::error file=filter/headers/scenarios/one.yaml,line=4,col=3::"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(root, "filter", "headers")
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, "main.go"), c.code)
			put(t, filepath.Join(dir, "filter.yaml"), c.description)
			environment := append(os.Environ(), annotating+"="+name, "GITHUB_ACTIONS=true", "COMPILER=go")
			if c.scenario != "" {
				put(t, filepath.Join(dir, "scenarios", "one.yaml"), c.scenario)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestAnnotations$")
			cmd.Dir, cmd.Env = root, environment
			said, err := cmd.CombinedOutput()
			if err != nil || strings.Count(string(said), "::error ") != 1 || !strings.Contains(string(said), c.want) {
				t.Errorf("%v; want %q once in\n%s", err, c.want, said)
			}
		})
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestReleaseSummary: the notes of a release are the summary of its job, and those of a part are
// not.
func TestReleaseSummary(t *testing.T) {
	builder := secretProject(t)
	summary := filepath.Join(t.TempDir(), "summary")
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	for _, until := range []string{rel.StepBuild, ""} {
		options, err := releaseOptions(variables.Values{}, "v1.4.0", releaseChoices{Until: until}, Output{Out: os.Stderr, Err: os.Stderr})
		if err != nil {
			t.Fatal(err)
		}
		options.Maker = prebuilt{build: builder}
		if err := releaseWith(t.Context(), options); err != nil {
			t.Fatal(err)
		}
		said, err := os.ReadFile(summary)
		if until != "" && err == nil {
			t.Errorf("until %s, the summary is\n%s", until, said)
		}
		if notes, err2 := os.ReadFile("dist/release.md"); until == "" && (err != nil || err2 != nil || string(said) != string(notes)+"\n") {
			t.Errorf("the summary is %q, %v, and the notes are\n%s", said, err, notes)
		}
	}
}
