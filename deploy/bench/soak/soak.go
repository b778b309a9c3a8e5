// Package soak runs all filters in one real Envoy for any length of time, under
// everything that wears a filter out, and watches memory and VMs.
//
// It exists because no single request shows what kills a gateway after a week: memory
// that is not given back, a VM that crashes when a stream is aborted at the wrong
// moment, a reload that leaves the old configuration's state behind.
package soak

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-wasm/slipway/deploy/bench/marked"
	"github.com/slipway-wasm/slipway/deploy/bench/usage"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// Options describe one soak. All but Log are required.
type Options struct {
	// Envoy is the binary that runs the filters.
	Envoy envoy.Binary
	// Subjects are the filters, in the order of the chain, with the services that they call.
	Subjects marked.Subjects
	// Modules are their modules, in any order.
	Modules []build.Module
	// Duration is how long, at least MinDuration.
	Duration time.Duration
	// Log gets one line for each thing that is done. Nil means no log.
	Log io.Writer
}

// MinDuration is the least that tells growth from the first requests' warm-up.
const MinDuration = 30 * time.Second

const (
	workers      = 2 // of Envoy
	reloadEvery  = 3 * time.Second
	flapEvery    = 2 * time.Second
	sampleEvery  = 500 * time.Millisecond
	readyTimeout = 10 * time.Minute
	// converge bounds how long a reload may take to be seen. V8 and the filters have
	// nothing to compile then, but the machine may be busy.
	converge = time.Minute
)

// Report is what a soak saw.
type Report struct {
	// Envoy is its version, and Duration how long it was soaked.
	Envoy    string
	Duration time.Duration
	// Requests counts the requests of each kind of traffic.
	Requests map[string]int64
	// Reloads is how often a change of configuration was made and seen, and Flaps how
	// often the services changed their behaviour.
	Reloads int
	Flaps   int
	// Memory is Envoy's resident memory, every half second.
	Memory []uint64
}

// CheckDuration returns an error unless d is a valid duration of a soak.
func CheckDuration(d time.Duration) error {
	if d < MinDuration {
		return fmt.Errorf("soak for %v: that is too short to tell growth from warming up; give %v or more", d, MinDuration)
	}
	return nil
}

// Run soaks the filters. With an error, the report still tells what was done.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := CheckDuration(o.Duration); err != nil {
		return nil, err
	}
	o.Log = cmp.Or(o.Log, io.Discard)
	dir, err := os.MkdirTemp("", "slipway-soak-")
	if err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	report, err := run(ctx, o, dir)
	if err != nil {
		return report, fmt.Errorf("soak: %w\n  logs and configurations are kept in %s", err, dir)
	}
	return report, os.RemoveAll(dir)
}

func run(ctx context.Context, o Options, dir string) (report *Report, err error) {
	report = &Report{Envoy: o.Envoy.Version, Duration: o.Duration, Requests: map[string]int64{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return report, err
	}
	// An answer that is aborted makes httpbin panic, which is meant to happen here.
	server := &http.Server{Handler: httpbin.New(), ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	defer server.Close()      //nolint:errcheck // nobody asks it any more

	s := &soak{dir: dir, subjects: o.Subjects, modules: o.Modules}
	if err := s.write(0); err != nil {
		return report, err
	}
	config, err := s.bootstrap(listener.Addr().(*net.TCPAddr).Port)
	if err != nil {
		return report, err
	}
	fmt.Fprintln(o.Log, "start Envoy")
	watch := &watcher{}
	proxy, err := envoy.Start(ctx, envoy.StartOptions{
		Path: o.Envoy.Path, Config: config, Dir: filepath.Join(dir, "envoy"), Concurrency: workers,
		// What filters log of requests would only fill a disk.
		LogLevel: "warn", WasmLogLevel: "warn", ReadyTimeout: readyTimeout, OnLine: watch.line,
	})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, proxy.Stop()) }()
	s.proxy = proxy
	if s.url, err = proxy.ListenerURL(ctx, envoyconf.DefaultListener); err != nil {
		return report, err
	}
	pid, err := proxy.PID(ctx)
	if err != nil {
		return report, err
	}

	fmt.Fprintf(o.Log, "soak for %v\n", o.Duration)
	timed, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	group, timed := errgroup.WithContext(timed)
	counts, err := traffic(timed, group, s.url, s.header())
	if err != nil {
		return report, err
	}
	group.Go(func() error {
		return every(timed, flapEvery, func() error {
			report.Flaps++
			return s.flap(report.Flaps)
		})
	})
	group.Go(func() error {
		return every(timed, reloadEvery, func() error {
			if err := s.reload(timed, report.Reloads+1); err != nil {
				return err
			}
			report.Reloads++
			return nil
		})
	})
	group.Go(func() error {
		return every(timed, sampleEvery, func() error {
			select {
			case <-proxy.Done():
				return errors.New("the proxy has ended by itself")
			default:
			}
			rss, err := usage.RSS(pid)
			report.Memory = append(report.Memory, rss)
			return err
		})
	})
	err = group.Wait()
	for kind, n := range counts {
		report.Requests[kind] = n.Load()
	}
	if ctx.Err() != nil {
		return report, context.Cause(ctx)
	}
	if err == nil {
		// What matters is what still works after all that.
		if err = s.flap(0); err == nil {
			err = s.reload(ctx, report.Reloads+1)
		}
	}
	return report, errors.Join(err, watch.failure(), growth(report.Memory))
}

// modes are how services behave, in turn. The empty one stands for what the scenario says.
var modes = []scenario.Script{
	{}, {Answers: []scenario.Answer{{Status: http.StatusInternalServerError}}}, {}, {Answers: []scenario.Answer{{Down: true}}},
	{Answers: []scenario.Answer{{Body: scenario.Body{Size: 1 << 20}}}}, // nothing that a filter expects
	{Answers: []scenario.Answer{{Delay: scenario.Duration(time.Second)}}}, {Answers: []scenario.Answer{{Silent: true}}},
}

// soak is the running system.
type soak struct {
	dir      string
	subjects marked.Subjects
	modules  []build.Module
	proxy    *envoy.Proxy
	url      string
}

// flap changes how all services behave.
func (s *soak) flap(n int) error {
	for _, subject := range s.subjects {
		for name, started := range subject.Servers {
			script := modes[n%len(modes)]
			if script.Answers == nil {
				script = subject.Scenario.Services[name].Script
			}
			if err := started.Set(script); err != nil {
				return err
			}
		}
	}
	return nil
}

// header has what the filters are asked with, of all scenarios together.
func (s *soak) header() http.Header {
	header := http.Header{}
	for _, subject := range s.subjects {
		for name, values := range subject.Request().Headers {
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return header
}

func (s *soak) file(filter string) string { return filepath.Join(s.dir, filter+".ecds.json") }

// filters are the filters of all scenarios, each once.
func (s *soak) filters() ([]envoyconf.Filter, error) {
	var all []envoyconf.Filter
	for _, subject := range s.subjects {
		filters, err := subject.Filters(func(name string) envoyconf.Source {
			i := slices.IndexFunc(s.modules, func(m build.Module) bool { return m.Name == name })
			return envoyconf.Local{Path: s.modules[i].Path}
		})
		if err != nil {
			return nil, err
		}
		for _, f := range filters {
			// A scenario with a chain says nothing of the chain's other filters.
			if f.Name == subject.Name {
				all = append(all, f)
			}
		}
	}
	return all, nil
}

// write puts the files that Envoy watches in place. The root id is what changes with each
// generation: it makes another plugin of the same virtual machine, and filters by the Go SDK
// pass over it.
func (s *soak) write(generation int) error {
	filters, err := s.filters()
	if err != nil {
		return err
	}
	for _, f := range filters {
		f.RootID = fmt.Sprintf("generation-%d", generation)
		content, err := envoyconf.Discovery(f, fmt.Sprint(generation))
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(s.file(f.Name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *soak) bootstrap(upstream int) ([]byte, error) {
	opts := envoyconf.BuildOptions{Upstream: envoyconf.Address{Port: upstream}}
	var chain []envoyconf.Filter
	for _, subject := range s.subjects {
		opts.Clusters = append(opts.Clusters, subject.Clusters()...)
		chain = append(chain, envoyconf.Filter{Name: subject.Name, Source: envoyconf.Discovered{Path: s.file(subject.Name)}})
	}
	opts.Listeners = []envoyconf.Listener{{Filters: chain}}
	return envoyconf.Render(opts)
}

// reload changes the filters' configurations and waits until Envoy has the change of each. A
// reload that the soak's end cuts short does not count.
func (s *soak) reload(ctx context.Context, generation int) error {
	before, err := s.reloads(ctx)
	if err != nil {
		return err
	}
	if err := s.write(generation); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, converge)
	defer cancel()
	waiting := ""
	err = every(limited, sampleEvery/10, func() error {
		now, err := s.reloads(limited)
		if err != nil {
			return err
		}
		waiting = ""
		for name, n := range before {
			if now[name] <= n {
				waiting = name
			}
		}
		if waiting == "" {
			return errSeen
		}
		return nil
	})
	switch {
	case errors.Is(err, errSeen), ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	default:
		return fmt.Errorf("Envoy has not taken the configuration %d of %s after %v", generation, waiting, converge) //nolint:staticcheck // a name
	}
}

// reloads are how many configurations of each filter Envoy has taken.
func (s *soak) reloads(ctx context.Context) (map[string]uint64, error) {
	stats, err := s.proxy.Stats(ctx)
	taken := map[string]uint64{}
	for _, subject := range s.subjects {
		taken[subject.Name] = stats["extension_config_discovery.http_filter."+subject.Name+".config_reload"]
	}
	return taken, err
}

var errSeen = errors.New("seen")

// every calls do at each interval, until do fails or ctx ends. The end of ctx is no
// error.
func every(ctx context.Context, interval time.Duration, do func() error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := do(); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
