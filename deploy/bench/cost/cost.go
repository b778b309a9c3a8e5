// Package cost measures what filters cost a request in real Envoy, side by side.
//
// It exists because people choose between compilers, languages and Envoy's own filters
// by numbers, and numbers from different machines, versions or days cannot be compared.
// All contestants run at the same time, one Envoy each with one worker, and are asked
// in turn, so that other load on the machine meets all of them. The main figure is the
// processor time that Envoy's process used for a request. A busy machine disturbs it
// far less than latency. Each round is compared with the same round without a filter.
package cost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-wasm/slipway/deploy/bench/marked"
	"github.com/slipway-wasm/slipway/deploy/bench/usage"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/internal/gorun"
)

// Options say what is measured. Root, Dist and Envoy are required.
type Options struct {
	// Root is the repository's folder.
	Root string
	// Envoy is the binary that runs the filters.
	Envoy envoy.Binary
	// Filters narrows the filters. Empty means all of them.
	Filters []string
	// Compiler narrows the compilers to one. Empty means each that is installed.
	Compiler string
	// GoToolchain is the Go release to build with. Empty means each compiler's own.
	GoToolchain string
	// TinyGoVersion is passed on to build.Options.
	TinyGoVersion string
	// Modules are wasm files to measure beside the filters. One whose name begins
	// with that of a filter gets the same configuration, others none.
	Modules []string
	// All adds traffic to an upstream, filters in further configurations, and
	// rounds.
	All bool
	// Dist is the folder for what is built, with a folder for each compiler, so that an
	// unchanged filter is not built again.
	Dist string
	// Rounds is the number of rounds for each contestant, and Requests the number of
	// requests in each round. Default: 15, or 25 with All; and 4000.
	Rounds, Requests int
	// Log gets one line for each thing that is done. Nil means no log.
	Log io.Writer
}

const (
	rounds      = 15
	roundsOfAll = 25
	requests    = 4000
	connections = 4

	// floor is the filter that does nothing.
	floor = "noop"

	readyTimeout = 10 * time.Minute // V8 is slow to compile modules of the ordinary Go compiler
)

// Run measures.
func Run(ctx context.Context, o Options) (*Result, error) {
	o.Log = cmp.Or(o.Log, io.Discard)
	if o.Rounds == 0 {
		o.Rounds = rounds
		if o.All {
			o.Rounds = roundsOfAll
		}
	}
	o.Requests = cmp.Or(o.Requests, requests)
	dir, err := os.MkdirTemp("", "slipway-bench-")
	if err != nil {
		return nil, fmt.Errorf("measure filters: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	result, err := run(ctx, o, dir)
	if err != nil {
		return nil, fmt.Errorf("measure filters: %w", err)
	}
	return result, nil
}

func run(ctx context.Context, o Options, dir string) (*Result, error) {
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(o.Root, "filter"), Names: o.Filters})
	if err != nil {
		return nil, err
	}
	subjects, err := marked.Read(filters)
	if err != nil {
		return nil, err
	}
	defer subjects.Close() //nolint:errcheck // nobody asks them any more
	compilers, built, err := buildAll(ctx, o, filters)
	if err != nil {
		return nil, err
	}
	named, err := modulesNamed(o.Modules)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range compilers {
		names = append(names, c.Name)
	}
	list, err := contestants(names, built, subjects, named, o.All)
	if err != nil {
		return nil, err
	}
	httpbin, stop, err := serveHTTPBin()
	if err != nil {
		return nil, err
	}
	defer stop()
	running, err := startAll(ctx, o, dir, list, httpbin)
	defer func() {
		for _, r := range running {
			_ = r.proxy.Stop() // a round has reported its errors already
		}
	}()
	if err != nil {
		return nil, err
	}

	result := &Result{Envoy: o.Envoy.Version, Compilers: compilers, Requests: o.Requests, Connections: connections, Rounds: o.Rounds}
	kinds := []string{direct}
	if o.All {
		kinds = append(kinds, proxied)
	}
	for _, kind := range kinds {
		traffic, err := measure(ctx, o, kind, running)
		if err != nil {
			return nil, err
		}
		result.Traffic = append(result.Traffic, traffic)
	}
	return result, nil
}

// buildAll builds the filters and the no-op filter with each compiler, each into a
// folder of its own.
func buildAll(ctx context.Context, o Options, filters []catalog.Filter) ([]build.Toolchain, map[string][]module, error) {
	source, err := gorun.Source(ctx, "filter")
	if err != nil {
		return nil, nil, err
	}
	own, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(source, "internal", "bench"), Names: []string{floor}})
	if err != nil {
		return nil, nil, err
	}
	names := []string{build.TinyGo, build.Go}
	if o.Compiler != "" {
		names = []string{o.Compiler}
	}
	var compilers []build.Toolchain
	built := map[string][]module{}
	for _, name := range names {
		modules, err := build.Build(ctx, build.Options{
			Filters: slices.Concat(own, filters), Dist: filepath.Join(o.Dist, name),
			Compiler: name, GoToolchain: o.GoToolchain,
			TinyGoVersion: o.TinyGoVersion, Out: o.Log,
		})
		if errors.Is(err, build.ErrNoTinyGo) && o.Compiler == "" {
			fmt.Fprintln(o.Log, "without TinyGo:", build.ErrNoTinyGo)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		compilers = append(compilers, modules[0].Compiler)
		for _, m := range modules {
			built[name] = append(built[name], module{name: m.Name, path: m.Path, size: m.Size})
		}
	}
	return compilers, built, nil
}

func modulesNamed(paths []string) ([]module, error) {
	var modules []module
	for _, path := range paths {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(absolute)
		if err != nil {
			return nil, fmt.Errorf("read a module to measure: %w", err)
		}
		modules = append(modules, module{name: moduleName(path), path: absolute, named: path, size: info.Size()})
	}
	return modules, nil
}

// serveHTTPBin returns the port of a httpbin that runs until stop.
func serveHTTPBin() (port int, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	server := &http.Server{Handler: httpbin.New()}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	return listener.Addr().(*net.TCPAddr).Port, func() { _ = server.Close() }, nil
}

// runner is a contestant in an Envoy of its own.
type runner struct {
	contestant
	proxy  *envoy.Proxy
	pid    int
	before uint64 // resident memory before the first request
}

// startAll starts an Envoy for each contestant. It returns the running ones, even with
// an error.
func startAll(ctx context.Context, o Options, dir string, list []contestant, httpbin int) ([]*runner, error) {
	running := make([]*runner, len(list))
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i, c := range list {
		group.Go(func() error {
			config, err := configuration(c, httpbin)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			level := "warn"
			if c.logged {
				level = "info"
			}
			fmt.Fprintf(o.Log, "start Envoy: %s\n", c.name)
			proxy, err := envoy.Start(ctx, envoy.StartOptions{
				Path: o.Envoy.Path, Config: config, Dir: filepath.Join(dir, "run", fmt.Sprint(i)),
				LogLevel: "warn", WasmLogLevel: level, ReadyTimeout: readyTimeout,
			})
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			r := &runner{contestant: c, proxy: proxy}
			running[i] = r
			if r.pid, err = proxy.PID(ctx); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			r.before, err = usage.RSS(r.pid)
			return err
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(running, func(r *runner) bool { return r == nil }), err
}

// measure asks the contestants in turn, back and forth, so that a machine that becomes
// slower or faster does so for all.
func measure(ctx context.Context, o Options, kind string, running []*runner) (Traffic, error) {
	traffic := Traffic{Name: kind}
	for _, r := range running {
		traffic.Rows = append(traffic.Rows, &Row{Name: r.name, Size: r.size, RSSBefore: r.before, base: r.base})
	}
	for round := range o.Rounds + 1 {
		order := make([]int, len(running))
		for i := range order {
			order[i] = i
			if round%2 == 1 {
				order[i] = len(order) - 1 - i
			}
		}
		fmt.Fprintf(o.Log, "%s: round %d of %d\n", kind, round, o.Rounds)
		for _, i := range order {
			seen, err := running[i].round(ctx, kind, o.Requests)
			if err != nil {
				return Traffic{}, fmt.Errorf("%s: %w", running[i].name, err)
			}
			row := traffic.Rows[i]
			row.Errors += seen.Errors
			if round > 0 { // the first one warms up
				row.Rounds = append(row.Rounds, seen)
			}
		}
	}
	for i, r := range running {
		rss, err := usage.RSS(r.pid)
		if err != nil {
			return Traffic{}, fmt.Errorf("%s: %w", r.name, err)
		}
		traffic.Rows[i].RSSAfter = rss
	}
	traffic.summarize()
	return traffic, nil
}

// round sends the requests of one round.
func (r *runner) round(ctx context.Context, kind string, requests int) (Round, error) {
	url, err := r.proxy.ListenerURL(ctx, kind)
	if err != nil {
		return Round{}, err
	}
	before, err := usage.CPU(r.pid)
	if err != nil {
		return Round{}, err
	}
	seen, err := load(ctx, url, r.asked, int64(requests))
	if err != nil {
		return Round{}, err
	}
	after, err := usage.CPU(r.pid)
	if err != nil {
		return Round{}, err
	}
	seen.CPU = float64((after - before).Nanoseconds()) / 1000 / float64(requests)
	return seen, nil
}
