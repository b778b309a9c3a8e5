// Package gotest runs the tests of every Go module in a repository.
//
// A repository of filters is several modules, and "go test ./..." tests one at a time. This
// package finds the modules, so that one command tests all of them, and no list has to name a
// new one.
package gotest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/children"
	"github.com/slipway-wasm/slipway/deploy/internal/gorun"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// Options says where the repository is and how strict a run is.
type Options struct {
	// Root is the repository's folder. Default: ".".
	Root string
	// Dist is the folder with the built filters. The tests that run compiled modules need it.
	// Required.
	Dist string
	// Filters limits E2E to these filters. Default: those that FILTERS in Env names.
	Filters []string
	// Run narrows E2E to scenarios whose filter/name matches this regular expression, and leaves
	// out everything else. Default: all.
	Run string
	// Packages says by its folder, relative to Root and with slashes, whether Test tests a package,
	// among them what E2E runs otherwise, which then leaves it out. Default: Test tests all others.
	Packages func(folder string) bool
	// Results is the folder for E2E's results. Default: Dist.
	Results string
	// RefuseSkips makes a skipped test an error, for continuous integration.
	RefuseSkips bool
	// Env is the environment of everything that runs. Default for Test and E2E: the part of
	// the process's environment that children.Environment keeps: no credentials, whatever their
	// names are. Default for the others: all of it.
	Env []string
	// Out and Err get the tools' output. Default: nothing is written.
	Out, Err io.Writer
}

// systems is the folder of a repository's own tests of whole systems, relative to its root. E2E
// runs them, and Test does not.
const systems = "test/e2e"

// raced are the modules whose tests run under the race detector: those with our own code. Each
// other module exists for one large dependency, such as Istio or a cloud's SDK, all of which
// would be compiled a second time.
var raced = []string{".", filterModule}

// filterModule is the module whose tests also run the compiled filters. They skip that under
// the race detector, and so run a second time without it.
const filterModule = "filter"

// Test runs the tests of every module in a shuffled order. If there is a C compiler, our own
// code runs under the race detector. Test prints every skipped test with its reason. The error
// names the modules whose tests failed.
func Test(ctx context.Context, opts Options) error {
	if opts.Dist == "" {
		return errors.New("test: no folder with the built filters was given")
	}
	dist, err := filepath.Abs(opts.Dist)
	if err != nil {
		return fmt.Errorf("test: %w", err)
	}
	opts.Env = opts.environment(children.Environment)
	race := raceFlags(ctx, opts)
	return eachModule(ctx, opts, "test", func(module string) error {
		packages, folders, err := packagesOf(ctx, opts, module)
		if err != nil || len(packages) == 0 {
			return err
		}
		if len(race) == 0 || !slices.Contains(raced, module) {
			return testModule(ctx, opts, module, dist, folders, packages)
		}
		err = testModule(ctx, opts, module, dist, folders, slices.Concat(race, packages))
		if module == filterModule {
			err = errors.Join(err, testModule(ctx, opts, module, dist, folders, packages))
		}
		return err
	})
}

// testTimeout is long enough for a machine that has compiled nothing yet: some tests first
// build cosign, the programs that sign, or a registry.
const testTimeout = "-timeout=25m"

// testModule runs "go test" with the arguments in a module's folder. folders are those of its
// packages.
func testModule(ctx context.Context, opts Options, module, dist string, folders map[string]string, arguments []string) error {
	dir, remove, err := scratch.Dir("", "test-")
	if err != nil {
		return err
	}
	defer remove() //nolint:errcheck // a temporary folder
	report := filepath.Join(dir, "report.json")

	gotestsum, err := gorun.Tool(ctx, ".", "gotestsum")
	if err != nil {
		return err
	}
	flags := []string{
		"--format=pkgname-and-test-fails", "--format-hide-empty-pkg", "--jsonfile=" + report, "--", "-shuffle=on", testTimeout,
	}
	cmd := command(ctx, opts, module, gotestsum, slices.Concat(flags, arguments)...)
	cmd.Env = append(cmd.Env, "SLIPWAY_DIST="+dist)
	if err := children.Run(cmd); err != nil {
		return errors.Join(err, failures(report, filepath.Join(opts.Root, module), folders))
	}
	skipped, err := skips(report)
	if err != nil {
		return err
	}
	if opts.RefuseSkips && len(skipped) > 0 {
		return fmt.Errorf("skipped: %s; every test has to run here", strings.Join(skipped, ", "))
	}
	return nil
}

// E2E plays the scenarios of the filters in real Envoys, with the modules in opts.Dist, unchanged
// (command deploy/e2e), and returns what was played. Beside that it runs the repository's own tests
// of whole systems, package test/e2e, if there are any. opts.Results gets e2e.json, the report, and
// e2e.xml, the same for JUnit, even if a scenario fails.
func E2E(ctx context.Context, opts Options) (scenario.Report, error) {
	report, err := e2e(ctx, opts)
	if err = errors.Join(err, failedScenarios(opts.Root, report)); err != nil {
		return report, fmt.Errorf("e2e with the modules in %s: %w", opts.Dist, err)
	}
	return report, nil
}

func e2e(ctx context.Context, opts Options) (report scenario.Report, err error) {
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(opts.Root, "filter"), Names: opts.Filters})
	if err == nil {
		// The program that plays them would say the same, after it was compiled.
		_, err = scenario.Load(filters)
	}
	if err != nil {
		return report, err
	}
	opts.Env = opts.environment(children.Environment)
	if len(opts.Filters) > 0 {
		opts.Env = append(opts.Env, "FILTERS="+strings.Join(opts.Filters, ","))
	}
	results := absolute(cmp.Or(opts.Results, opts.Dist))
	awaitTests := startSystems(ctx, opts)
	err = program(ctx, opts, "e2e", "-root="+absolute(opts.Root), "-dist="+absolute(opts.Dist), "-results="+results, "-run="+opts.Run)
	played, reportErr := scenario.ReadReport(filepath.Join(results, scenario.ReportFile))
	if err == nil && reportErr != nil {
		err = reportErr
	}
	if reportErr == nil {
		report = *played
	}
	return report, errors.Join(err, awaitTests())
}

// startSystems starts the repository's own tests of whole systems, if there are any: scenarios
// mostly wait, so both together take little longer than one of them. await shows their output and
// returns their error.
func startSystems(ctx context.Context, opts Options) (await func() error) {
	if _, err := os.Stat(filepath.Join(opts.Root, systems)); err != nil || opts.Run != "" || opts.Packages != nil {
		return func() error { return nil }
	}
	out := opts.Out
	var held bytes.Buffer
	opts.Out, opts.Err = &held, &held
	opts.Env = append(slices.Clone(opts.Env), "SLIPWAY_DIST="+absolute(opts.Dist))
	done := make(chan error, 1)
	go func() { done <- whole(ctx, opts, systems, systems, "test", "-count=1", "-timeout=20m") }()
	return func() error {
		err := <-done
		if out != nil {
			_, writeErr := held.WriteTo(out)
			err = errors.Join(err, writeErr)
		}
		return err
	}
}

// LocalOptions say what Run and Dev run, and on which addresses.
type LocalOptions struct {
	// Filter is a folder below filter/. Run's default is the only one; Dev has none.
	Filter string
	// Listener is the address on which Envoy receives requests, host:port. Default:
	// 127.0.0.1:8085.
	Listener string
	// Backend is the address of the backend behind Envoy. Default: 127.0.0.1:8080.
	Backend string
	// Admin is the address of Envoy's admin interface. Default: 127.0.0.1:8001.
	Admin string
}

// Run runs one filter in real Envoy, in front of a small backend, until it is interrupted,
// which is not an error: command deploy/run.
func Run(ctx context.Context, opts Options, local LocalOptions) error {
	return runLocal(ctx, opts, local, "run")
}

// Dev runs one filter in real Envoy while its author works on it, until it is interrupted,
// which is not an error: command deploy/dev.
func Dev(ctx context.Context, opts Options, local LocalOptions) error {
	return runLocal(ctx, opts, local, "dev")
}

// runLocal runs one of Slipway's commands on the filters of any repository.
func runLocal(ctx context.Context, opts Options, local LocalOptions, name string) error {
	args := []string{"-root=" + absolute(opts.Root)}
	for _, flag := range []struct{ name, value string }{{"listener", local.Listener}, {"backend", local.Backend}, {"admin", local.Admin}} {
		if flag.value != "" {
			args = append(args, "-"+flag.name+"="+flag.value)
		}
	}
	if local.Filter != "" {
		args = append(args, local.Filter)
	}
	if err := program(ctx, opts, name, args...); ctx.Err() == nil {
		return err
	}
	return nil
}

// Doctor shows what is installed and what is missing: command deploy/doctor.
func Doctor(ctx context.Context, opts Options) error {
	return program(ctx, opts, "doctor")
}

// program runs one of Slipway's commands: the folder name below deploy.
func program(ctx context.Context, opts Options, name string, args ...string) error {
	folder, err := gorun.Folder(ctx, ".")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	opts.Root = folder
	return whole(ctx, opts, name, ".", slices.Concat([]string{"run", gorun.Slipway + "/deploy/" + name}, args)...)
}

// whole runs the go command for tests or a command that starts a whole system.
func whole(ctx context.Context, opts Options, step, folder string, args ...string) error {
	// On an interrupt the command has time to stop its proxies: see package children.
	if err := children.Run(command(ctx, opts, folder, "go", args...)); err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	return nil
}

// Modules returns the folders of the repository's Go modules, relative to root, sorted, with
// "." first.
func Modules(root string) ([]string, error) {
	root = cmp.Or(root, ".")
	var modules []string
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || path == "dist") {
			return fs.SkipDir
		}
		if name == "go.mod" && !entry.IsDir() {
			modules = append(modules, filepath.Dir(path))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find Go modules: %w", err)
	}
	slices.Sort(modules)
	return modules, nil
}

// eachModule runs one step in every module. It continues after a failure, and returns all
// failures.
func eachModule(ctx context.Context, opts Options, step string, run func(module string) error) error {
	modules, err := Modules(opts.Root)
	if err != nil {
		return err
	}
	var failures []error
	for _, module := range modules {
		if opts.Out != nil {
			fmt.Fprintf(opts.Out, "%s: module %s\n", step, module)
		}
		if err := run(module); err != nil {
			failures = append(failures, fmt.Errorf("%s module %s: %w", step, module, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failures...)
}

// packagesOf lists the packages of a module that Test tests, and gives their folders.
func packagesOf(ctx context.Context, opts Options, module string) (packages []string, folders map[string]string, err error) {
	cmd := command(ctx, opts, module, "go", "list", "-f", "{{.ImportPath}} {{.Dir}}", "./...")
	cmd.Stdout = nil
	list, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("list packages: %w", err)
	}
	folders = map[string]string{}
	for line := range strings.Lines(string(list)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		folder, err := filepath.Rel(absolute(opts.Root), dir)
		if err != nil {
			return nil, nil, err
		}
		wanted := filepath.ToSlash(folder) != systems
		if opts.Packages != nil {
			wanted = opts.Packages(filepath.ToSlash(folder))
		}
		if wanted {
			packages = append(packages, path)
			folders[path] = filepath.Join(opts.Root, folder)
		}
	}
	return packages, folders, nil
}

// raceFlags returns the flags for the race detector. If it cannot be built, raceFlags says so
// and returns none.
func raceFlags(ctx context.Context, opts Options) []string {
	cmd := exec.CommandContext(ctx, "go", "env", "CC")
	cmd.Env = children.Environment(os.Environ())
	output, err := cmd.Output()
	if err == nil {
		_, err = exec.LookPath(strings.TrimSpace(string(output)))
	}
	if err != nil {
		if opts.Out != nil {
			fmt.Fprintln(opts.Out, "test: without the race detector, which needs a C compiler; install gcc to have it")
		}
		return nil
	}
	return []string{"-race"}
}

// command returns a command in a module's folder. The go command sees only that module.
func command(ctx context.Context, opts Options, module, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = filepath.Join(opts.Root, module)
	// Tests run on this machine, whatever the caller builds for.
	cmd.Env = append(opts.environment(all), "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	cmd.Stdout, cmd.Stderr = opts.Out, opts.Err
	return cmd
}

// environment is what was given, or else the part of the process's environment that keep keeps.
func (o Options) environment(keep func([]string, ...string) []string) []string {
	if o.Env != nil {
		return slices.Clone(o.Env)
	}
	return keep(os.Environ())
}

func all(environment []string, _ ...string) []string { return environment }

func absolute(root string) string {
	abs, err := filepath.Abs(root)
	if err != nil {
		return root // only without a working directory, where every command fails anyway
	}
	return abs
}
