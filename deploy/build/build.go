// Package build compiles filters to wasm modules and records how.
//
// A module in dist/ is what will run in gateways. So a pinned compiler builds it with fixed
// flags, its imports and exports are inspected, and it is started as Envoy starts it. It
// appears in dist/ only if Envoy would load it. Beside it is a record of everything that
// decided its bytes.
package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/inspect"
	"github.com/slipway-wasm/slipway/deploy/internal/concurrent"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
)

// Options says what to build, with what and where. The zero value builds every filter below
// filter/ to dist/.
type Options struct {
	// Filters are the filters to build. Default: every filter that catalog.Load finds.
	Filters []catalog.Filter
	// Dist is the folder for the modules and records. Default: "dist".
	Dist string
	// Compiler is "go", "tinygo", or empty for TinyGo if it is installed and Go otherwise: see
	// Find.
	Compiler string
	// GoToolchain is the Go release to build with, for example "go1.23.12". Default: the
	// release that is pinned for the compiler.
	GoToolchain string
	// TinyGoVersion is the required release of TinyGo if the compiler is TinyGo, for example
	// "0.40.1". Default: the pinned one if it was downloaded, otherwise any on PATH.
	TinyGoVersion string
	// Force builds even what is up to date.
	Force bool
	// Cache is the folder of the compilers' caches. If it is empty, everything is compiled,
	// including the standard library. On macOS TinyGo always uses the user's cache. Default:
	// the user's caches.
	Cache string
	// Out gets one line for each step. Default: nothing is written.
	Out io.Writer
}

// Module is a built filter: a wasm file that was compared with its record.
type Module struct {
	// Path is the wasm file, as an absolute path.
	Path string
	Record
}

// Build compiles the filters in parallel and returns their modules in the order of the
// filters. If a filter's sources, compiler and module still match its record, it is not
// compiled again.
//
// A module is inspected, and started with the example of its metadata. Only then <filter>.wasm
// and <filter>.json are renamed into Dist. So a build that fails leaves the previous module
// and record unchanged. If several filters fail, the error names all of them.
func Build(ctx context.Context, opts Options) ([]Module, error) {
	opts.Out = cmp.Or(opts.Out, io.Discard)
	if opts.Filters == nil {
		filters, err := catalog.Load(catalog.LoadOptions{})
		if err != nil {
			return nil, err
		}
		opts.Filters = filters
	}
	dist, err := distFolder(opts.Dist)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	compiler, err := find(opts)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	toolchain, line, err := announce(ctx, compiler, opts.Compiler)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	fmt.Fprintln(opts.Out, line)

	list := lister{toolchain: toolchain, cache: opts.Cache}
	sources := list.all(ctx, opts.Filters)
	modules := make([]Module, len(opts.Filters))
	lines := make([]string, len(opts.Filters))
	failed := concurrent.Each(runtime.NumCPU(), opts.Filters, func(i int, filter catalog.Filter) (err error) {
		job := job{compiler, list, filter, sources[filter.Dir], dist}
		modules[i], lines[i], err = job.run(ctx, opts.Force)
		return err
	})
	for _, line := range lines {
		if line != "" {
			fmt.Fprintln(opts.Out, line)
		}
	}
	if failed != nil {
		return nil, failed
	}
	return modules, nil
}

func distFolder(dist string) (string, error) {
	dist = cmp.Or(dist, "dist")
	abs, err := filepath.Abs(dist)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", dist, err)
	}
	return abs, nil
}

// job is the build of one filter.
type job struct {
	compiler Compiler
	lister
	filter  catalog.Filter
	sources []Package // nil if they could not be listed
	dist    string
}

// run returns the module and a line that says what was done.
func (j job) run(ctx context.Context, force bool) (Module, string, error) {
	fail := func(err error) (Module, string, error) {
		return Module{}, "", fmt.Errorf("build %s with %s %s: %w", j.filter.Name, j.toolchain.Name, j.toolchain.Version, err)
	}
	started := time.Now()
	if j.sources == nil {
		list, err := j.one(ctx, j.filter.Dir)
		if err != nil {
			return fail(err)
		}
		j.sources = list
	}
	before, err := readSources(j.sources)
	if err != nil {
		return fail(err)
	}
	if old, err := loadOne(j.dist, j.filter.Name); err == nil && !force &&
		reflect.DeepEqual(old.Compiler, j.toolchain) && maps.Equal(old.Inputs, before.Inputs) {
		return old, fmt.Sprintf("%s: up to date, %d bytes, wasm sha256 %s", old.Name, old.Size, old.WasmSHA256), nil
	}

	work, remove, err := scratch.Dir(j.dist, ".build-")
	if err != nil {
		return fail(err)
	}
	defer remove() //nolint:errcheck // a temporary folder
	built := filepath.Join(work, j.filter.Name+".wasm")
	if err := j.compiler.Compile(ctx, j.filter.Dir, built); err != nil {
		return fail(err)
	}
	if err := j.unchanged(ctx, before); err != nil {
		return fail(err)
	}
	wasm, err := os.ReadFile(built)
	if err != nil {
		return fail(err)
	}
	example, err := j.filter.Metadata.ExampleConfiguration()
	if err != nil {
		return fail(err)
	}
	report, err := inspect.Check(ctx, wasm, inspect.StartOptions{Configuration: &example, Memory: inspect.EnvoyMemory})
	if err != nil {
		if report != nil {
			err = advised(err, report.Trapped())
		}
		return fail(err)
	}
	if j.toolchain.Name == TinyGo && report.Exported("malloc") {
		return fail(errors.New("the module exports TinyGo's malloc, which never frees what the proxy allocates with it; build with -tags=custommalloc, or look for a //export malloc in the filter"))
	}
	record := newRecord(j.filter.Name, wasm, j.toolchain, j.sources, before.Inputs, report)
	module, err := place(j.dist, built, record)
	if err != nil {
		return fail(err)
	}
	return module, fmt.Sprintf("%s: built in %s, %d bytes, wasm sha256 %s", record.Name, time.Since(started).Round(100*time.Millisecond), record.Size, record.WasmSHA256), nil
}

// advised adds advice for authors who follow the SDK's older examples: those set the VM
// context in main, which made the module a WASI command.
func advised(err error, trapped string) error {
	if trapped == "proxy_on_context_create" || trapped == "proxy_on_vm_start" {
		return fmt.Errorf("%w; if main calls proxywasm.SetVMContext, call it in init: the module is a WASI reactor, whose main nobody calls", err)
	}
	return err
}

// unchanged makes sure that the sources did not change while the compiler read them. If a file
// was saved meanwhile, nobody knows which version is in the module.
func (j job) unchanged(ctx context.Context, before Sources) error {
	list, err := j.one(ctx, j.filter.Dir)
	if err != nil {
		return err
	}
	after, err := readSources(list)
	if err != nil {
		return err
	}
	if changed := after.changed(before.Inputs); len(changed) > 0 {
		return fmt.Errorf("the sources changed while they were compiled: %s; build again", strings.Join(changed, ", "))
	}
	return nil
}
