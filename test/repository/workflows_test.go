package repository

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/slipway-wasm/slipway/deploy/scaffold"
)

// workflow holds the tested parts of a workflow.
//
// Reference: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
type workflow struct {
	On          any
	Permissions *map[string]string
	Jobs        map[string]struct {
		Uses        string
		Permissions *map[string]string
		Secrets     any
		Env         map[string]string
		Steps       []struct {
			Name, Uses, Run, Shell string
			With                   map[string]any
		}
	}
}

func readWorkflows(t *testing.T) map[string]workflow {
	t.Helper()
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows, error %v", len(files), err)
	}
	all := map[string]workflow{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		if err := yaml.Unmarshal(data, &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = w
	}
	return all
}

// TestWorkflowTargets: a workflow holds no logic. Each of its commands is a target
// of the magefile, which takes those arguments, or a script of .ci.
func TestWorkflowTargets(t *testing.T) {
	t.Parallel()
	targets := readTargets(t)
	commands := 0
	for file, w := range readWorkflows(t) {
		for name, job := range w.Jobs {
			for _, step := range job.Steps {
				if step.Run == "" {
					continue
				}
				commands++
				if err := checkCommand(step.Run, targets); err != nil {
					t.Errorf("%s: job %s: %q: %v", file, name, step.Run, err)
				}
			}
		}
	}
	if commands < 10 {
		t.Errorf("only %d commands in all workflows", commands)
	}
}

// target says what a target takes.
type target struct {
	arguments []string // the names of those that are required
	flags     []string // the names of those that are not

	help      string   // what "mage -h" prints of it
	variables []string // what "mage vars" lists of it
}

// The end of what "mage -h TARGET" prints, with one flag and with more than one:
//
//	mage verify <versionReferenceOrFolder> [-json=<bool>]
//	mage release <versionOrTag> [<flags>]
//
//	Flags:
//
//		-until=<string>
var (
	usageLine     = regexp.MustCompile(`(?m)^\s+mage (\S+)((?: <\w+>)*)(?: \[(?:<flags>|-(\w+)=<\w+>)\])?$`)
	usageArgument = regexp.MustCompile(`<(\w+)>`)
	usageFlag     = regexp.MustCompile(`(?m)^\s+-(\w+)=<\w+>`)

	listedVariable = regexp.MustCompile(`(?m)^  ([A-Z_]+) +(?:not )?set$`)
)

// readTargets asks mage for all targets and for what each takes, once.
func readTargets(t *testing.T) map[string]target {
	t.Helper()
	targets, err := askTargets()
	if err != nil {
		t.Fatal(err)
	}
	return targets
}

var askTargets = sync.OnceValues(func() (map[string]target, error) {
	dir, err := os.MkdirTemp("", "slipway-targets-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "mage")
	if _, err := output("go", "tool", "mage", "-compile", binary); err != nil {
		return nil, err
	}
	list, err := output(binary, "-l")
	if err != nil {
		return nil, err
	}
	targets := map[string]target{}
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(line, "  ") || len(fields) == 0 {
			continue
		}
		name := strings.TrimSuffix(fields[0], "*")
		help, err := output(binary, "-h", name)
		if err != nil {
			return nil, err
		}
		match := usageLine.FindStringSubmatch(help)
		if match == nil {
			return nil, fmt.Errorf("the help of %s has no usage:\n%s", name, help)
		}
		takes := target{help: help}
		for _, argument := range usageArgument.FindAllStringSubmatch(match[2], -1) {
			takes.arguments = append(takes.arguments, argument[1])
		}
		if match[3] != "" {
			takes.flags = append(takes.flags, match[3])
		}
		for _, flag := range usageFlag.FindAllStringSubmatch(help, -1) {
			takes.flags = append(takes.flags, flag[1])
		}
		if name != "lint" { // which is not among the targets of every repository
			variables, err := output(binary, "vars", "-target="+name)
			if err != nil {
				return nil, err
			}
			for _, variable := range listedVariable.FindAllStringSubmatch(variables, -1) {
				takes.variables = append(takes.variables, variable[1])
			}
		}
		targets[strings.ToLower(name)] = takes
	}
	return targets, nil
})

// output returns what a command prints in the repository's folder.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %v: %w\n%s", name, args, err, stderr.String())
	}
	return string(out), nil
}

// checkCommand returns what is wrong with a step's command.
func checkCommand(command string, targets map[string]target) error {
	if strings.ContainsAny(command, "\n;|&<>`(){}") {
		return fmt.Errorf("it is more than one command, or takes something from an expression")
	}
	fields := strings.Fields(command)
	if len(fields) == 1 && strings.HasPrefix(fields[0], ".ci/") {
		info, err := os.Stat(filepath.Join("../..", fields[0]))
		if err == nil && info.Mode()&0o111 == 0 {
			err = fmt.Errorf("it cannot be executed")
		}
		return err
	}
	rest, ok := strings.CutPrefix(command, "go tool mage ")
	if !ok {
		return fmt.Errorf("it is neither a target of the magefile nor a script of .ci")
	}
	for _, folder := range []string{`-w "$SOURCE" `, `-w "$BASE" `} {
		rest = strings.TrimPrefix(rest, folder)
	}
	return checkTargets(strings.Fields(rest), targets)
}

// checkTargets returns what is wrong with mage's arguments: targets, each followed by
// its arguments.
func checkTargets(fields []string, targets map[string]target) error {
	for len(fields) > 0 {
		name := fields[0]
		takes, ok := targets[strings.ToLower(name)]
		if !ok {
			return fmt.Errorf("there is no target %s", name)
		}
		arguments := 0
		for fields = fields[1:]; len(fields) > 0; fields = fields[1:] {
			flag, isFlag := strings.CutPrefix(fields[0], "-")
			if flag, _, _ = strings.Cut(flag, "="); isFlag && !slices.Contains(takes.flags, flag) {
				return fmt.Errorf("target %s has no -%s; it has %v", name, flag, takes.flags)
			}
			if !isFlag {
				if arguments == len(takes.arguments) {
					break // the next target
				}
				arguments++
			}
		}
		if arguments != len(takes.arguments) {
			return fmt.Errorf("target %s takes %d arguments %v, not %d", name, len(takes.arguments), takes.arguments, arguments)
		}
	}
	return nil
}

// The check can fail.
func TestCheckCommand(t *testing.T) {
	t.Parallel()
	targets := map[string]target{"lint": {}, "release": {arguments: []string{"versionOrTag"}, flags: []string{"until"}}}
	for _, command := range []string{"go tool mage lint", `go tool mage release "$TAG" lint`, `go tool mage release "$TAG"`, `go tool mage -w "$SOURCE" release "$TAG" -until=e2e`, ".ci/run"} {
		if err := checkCommand(command, targets); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	for _, command := range []string{
		"go tool mage lnt", "go tool mage release", "go tool mage lint all", `go tool mage release "$TAG" -till=e2e`,
		"go tool mage lint && go tool mage lint", "go tool mage release ${{ github.ref_name }}", "npm install", ".ci/missing", "go tool mage lint\ngo tool mage lint",
	} {
		if checkCommand(command, targets) == nil {
			t.Errorf("%q is accepted", command)
		}
	}
}

// TestWorkflowRights: nothing is allowed by default, and every job lists its
// permissions. The jobs that build and that verify may write nothing.
func TestWorkflowRights(t *testing.T) {
	t.Parallel()
	all := readWorkflows(t)
	for file, w := range all {
		if w.Permissions == nil || len(*w.Permissions) > 0 {
			t.Errorf("%s does not begin with permissions: {}", file)
		}
		for name, job := range w.Jobs {
			if job.Permissions == nil {
				t.Errorf("%s: job %s does not say what it may", file, name)
			}
			if job.Secrets == "inherit" {
				t.Errorf("%s: job %s hands on every secret", file, name)
			}
		}
	}
	for _, job := range []struct {
		file, name string
		may        map[string]string
	}{
		{"build.yml", "plan", map[string]string{"contents": "read"}},
		{"build.yml", "join", map[string]string{"contents": "read"}},
		{"build.yml", "build", map[string]string{"contents": "read"}},
		{"filters.yml", "build", map[string]string{"contents": "read"}},
		{"filters.yml", "verify", map[string]string{"contents": "read", "packages": "read"}},
		{"filters.yml", "check", map[string]string{"contents": "read", "packages": "read", "id-token": "write"}},
		{"check.yml", "check", map[string]string{"contents": "read"}},
		{"ci.yml", "test", map[string]string{"contents": "read"}},
	} {
		rights := all[job.file].Jobs[job.name].Permissions
		if rights == nil || !maps.Equal(*rights, job.may) {
			t.Errorf("%s: job %s may %v, and should only %v", job.file, job.name, rights, job.may)
		}
	}
	for _, file := range []string{"build.yml", "filters.yml", "release.yml"} {
		for name, job := range all[file].Jobs {
			for _, step := range job.Steps {
				if strings.HasPrefix(step.Uses, "actions/cache") || (strings.HasPrefix(step.Uses, "actions/setup-go") && step.With["cache"] != false) {
					t.Errorf("%s: job %s: %s uses a cache, which other workflows may have written", file, name, step.Name)
				}
			}
		}
	}
}

// TestReleaseTags: in our workflow, and in the one that other repositories get, a release's tag
// starts a release. A moving tag and that of a Go module start none.
func TestReleaseTags(t *testing.T) {
	t.Parallel()
	ours, err := os.ReadFile("../../.github/workflows/release.yml")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := scaffold.Workflow("acme/filters", "v1.4.0")
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range [][]byte{ours, theirs} {
		var w struct {
			On struct {
				Push struct{ Tags []string }
			}
			Concurrency any
		}
		if err := yaml.Unmarshal(content, &w); err != nil {
			t.Fatal(err)
		}
		if w.Concurrency == nil || !bytes.Contains(content, []byte("workflow_dispatch:")) {
			t.Errorf("two runs of one tag can meet, or it cannot be started by hand:\n%s", content)
		}
		for tag, want := range map[string]bool{
			"v1.4.0": true, "v1.4.0-rc.1": true, "headers/v1.4.0": true, "v1": false, "v1.4": false, "headers/v1": false, "filter/v1.4.0": false, "deploy/rollout/v1.4.0": false,
		} {
			starts := false
			for _, pattern := range w.On.Push.Tags { // the last that matches decides
				pattern, not := strings.CutPrefix(pattern, "!")
				if matches, err := path.Match(pattern, tag); err != nil {
					t.Fatal(err)
				} else if matches {
					starts = !not
				}
			}
			if starts != want {
				t.Errorf("%s starts a release: %t, want %t:\n%s", tag, starts, want, content)
			}
		}
	}
}

// TestCaller: the workflow that "new -repository" writes and deploy/README.md shows calls ours
// with the right inputs and permissions.
func TestCaller(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Release from GitHub Actions\n")
	_, block, _ := strings.Cut(section, "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	if written, err := scaffold.Workflow("acme/filters", "v1.4.0"); err != nil || string(written) != block {
		t.Errorf("the page shows\n%s\nand new writes\n%s\n%v", block, written, err)
	}
	var theirs struct {
		Jobs map[string]struct {
			Uses        string
			Permissions map[string]string
			With        map[string]any
		}
	}
	if err := yaml.Unmarshal([]byte(block), &theirs); err != nil {
		t.Fatal(err)
	}
	var ours struct {
		On struct {
			WorkflowCall struct {
				Inputs map[string]struct{ Required bool }
			} `yaml:"workflow_call"`
		}
		Jobs map[string]struct{ Permissions map[string]string }
	}
	data, err := os.ReadFile("../../.github/workflows/filters.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &ours); err != nil {
		t.Fatal(err)
	}
	job := theirs.Jobs["filters"]
	if !strings.HasPrefix(job.Uses, "slipway-wasm/slipway/.github/workflows/filters.yml@") {
		t.Fatalf("it uses %q in\n%s", job.Uses, block)
	}
	inputs := ours.On.WorkflowCall.Inputs
	for name := range job.With {
		if _, ok := inputs[name]; !ok {
			t.Errorf("there is no input %s", name)
		}
	}
	for name, input := range inputs {
		if _, given := job.With[name]; input.Required && !given {
			t.Errorf("the input %s is required", name)
		}
	}
	// A called workflow may do no more than its caller.
	for name, called := range ours.Jobs {
		for right, level := range called.Permissions {
			if has := job.Permissions[right]; has != level && has != "write" {
				t.Errorf("job %s needs %s: %s, and is given %q", name, right, level, has)
			}
		}
	}
}

// TestLintWorkflows: both linters run, and each finds what only it looks for.
func TestLintWorkflows(t *testing.T) {
	t.Parallel()
	const good = "name: good\non: pull_request\npermissions: {}\nconcurrency:\n  group: good\n  cancel-in-progress: true\njobs:\n  a:\n    name: a\n    runs-on: ubuntu-24.04\n    steps:\n      - name: Say\n        run: echo hello\n"
	for name, c := range map[string]struct{ workflow, want string }{
		"good":      {good, ""},
		"syntax":    {strings.Replace(good, "steps:", "stepps:", 1), "actionlint"},
		"injection": {strings.Replace(good, "echo hello", "echo ${{ github.event.repository.description }}", 1), "zizmor"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			folder := filepath.Join(root, ".github", "workflows")
			for _, dir := range []string{folder, filepath.Join(root, ".git")} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(folder, "a.yml"), []byte(c.workflow), 0o644); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := lintWorkflows(t.Context(), root, &out, &out)
			if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q\n%s", err, c.want, out.String())
			}
		})
	}
}

// TestCaches: main is tested after each merge, and leaves caches that pull requests find. The key
// of a cache is a hash of files, so jobs that compile different things name different files.
func TestCaches(t *testing.T) {
	t.Parallel()
	ci := readWorkflows(t)["ci.yml"]
	if on := fmt.Sprint(ci.On); !strings.Contains(on, "push:map[branches:[main]]") {
		t.Errorf("it runs on %s", on)
	}
	jobs := map[string]string{}
	for name, job := range ci.Jobs {
		for _, step := range job.Steps {
			if !strings.HasPrefix(step.Uses, "actions/setup-go@") {
				continue
			}
			paths, _ := step.With["cache-dependency-path"].(string)
			for _, path := range strings.Fields(paths) {
				if files, err := filepath.Glob(filepath.Join("../..", strings.ReplaceAll(path, "**/", ""))); err != nil || len(files) == 0 {
					t.Errorf("job %s: the key of its cache has %s, which does not exist", name, path)
				}
			}
			if other, taken := jobs[paths]; taken || paths == "" {
				t.Errorf("job %s has the same cache as job %q: %q", name, other, paths)
			}
			jobs[paths] = name
		}
	}
	if len(jobs) < 4 {
		t.Errorf("only %d jobs have a cache", len(jobs))
	}
	// setup-go keeps no other folder.
	if got := ci.Jobs["lint"].Env["GOLANGCI_LINT_CACHE"]; !strings.HasPrefix(got, "/home/runner/.cache/go-build/") {
		t.Errorf("the linter's cache is in %q", got)
	}
}

// TestNightly: what takes too long for a pull request runs every night, with both compilers.
func TestNightly(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../.github/workflows/nightly.yml")
	if err != nil {
		t.Fatal(err)
	}
	var nightly struct {
		Jobs map[string]struct {
			Strategy struct {
				Matrix struct{ Envoy, Compiler []string }
			}
			Steps []struct{ Run string }
		}
	}
	if err := yaml.Unmarshal(data, &nightly); err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string]string{
		"fuzz": ".ci/fuzz", "e2e": "go tool mage e2e", "soak": "go tool mage soak 1h", "kind": "go tool mage kind:smoke", "published": ".ci/verify-published",
	} {
		job := nightly.Jobs[name]
		if !slices.ContainsFunc(job.Steps, func(s struct{ Run string }) bool { return s.Run == command }) {
			t.Errorf("job %s does not run %q", name, command)
		}
		if name != "fuzz" && name != "published" && !slices.Equal(job.Strategy.Matrix.Compiler, []string{"go", "tinygo"}) {
			t.Errorf("job %s runs with %v", name, job.Strategy.Matrix.Compiler)
		}
	}
	ci, err := os.ReadFile("../../.github/workflows/ci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var some struct {
		Jobs map[string]struct {
			Strategy struct{ Matrix struct{ Envoy []string } }
		}
	}
	if err := yaml.Unmarshal(ci, &some); err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`(?m)^\t"(1\.[0-9.]+)": \{$`)
	wheels, err := os.ReadFile("../../deploy/envoy/wheel.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range pinned.FindAllStringSubmatch(string(wheels), -1) {
		if !slices.Contains(nightly.Jobs["e2e"].Strategy.Matrix.Envoy, match[1]) {
			t.Errorf("Envoy %s can be downloaded, and nights do not run in it", match[1])
		}
	}
	for _, version := range some.Jobs["e2e"].Strategy.Matrix.Envoy {
		if !slices.Contains(nightly.Jobs["e2e"].Strategy.Matrix.Envoy, version) {
			t.Errorf("pull requests run in Envoy %s, and nights do not", version)
		}
	}
}
