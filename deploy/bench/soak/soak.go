// Package soak runs all filters in one real Envoy for any length of time, under
// everything that wears a filter out, and watches memory and VMs.
//
// It exists because no single request shows what kills a gateway after a week: memory
// that is not given back, a VM that crashes when a stream is aborted at the wrong
// moment, a reload that leaves the old configuration's state behind.
package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-wasm/slipway/deploy/bench/usage"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoy/authservice"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
)

// Filters are the filters that are soaked.
var Filters = []string{"authtoken", "headers", "requestlog"}

// Options describe one soak. All but Log are required.
type Options struct {
	// Envoy is the binary that runs the filters.
	Envoy envoy.Binary
	// Modules are the modules of Filters, in any order.
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
	// often the auth service changed its behaviour.
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
	if o.Log == nil {
		o.Log = io.Discard
	}
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
	auth, err := authservice.Start(authservice.Answering)
	if err != nil {
		return report, err
	}
	defer auth.Close() //nolint:errcheck // nobody asks it any more
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return report, err
	}
	// An answer that is aborted makes httpbin panic, which is meant to happen here.
	server := &http.Server{Handler: httpbin.New(), ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	defer server.Close()      //nolint:errcheck // nobody asks it any more

	s := &soak{dir: dir, modules: o.Modules}
	if err := s.write(0); err != nil {
		return report, err
	}
	config, err := s.bootstrap(listener.Addr().(*net.TCPAddr).Port, auth.Port())
	if err != nil {
		return report, err
	}
	fmt.Fprintln(o.Log, "start Envoy")
	watch := &watcher{}
	proxy, err := envoy.Start(ctx, envoy.StartOptions{
		Path: o.Envoy.Path, Config: config, Dir: filepath.Join(dir, "envoy"), Concurrency: workers,
		// What requestlog logs would only fill a disk.
		LogLevel: "warn", WasmLogLevel: "warn", ReadyTimeout: readyTimeout, OnLine: watch.line,
	})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, proxy.Stop()) }()
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
	counts := traffic(timed, group, s.url)
	group.Go(func() error {
		return every(timed, flapEvery, func() error {
			report.Flaps++
			return auth.Set(modes[report.Flaps%len(modes)])
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
		if err = auth.Set(authservice.Answering); err == nil {
			err = s.reload(ctx, report.Reloads+1)
		}
	}
	return report, errors.Join(err, watch.failure(), growth(report.Memory))
}

// modes are how the auth service behaves, in turn.
var modes = []authservice.Mode{
	authservice.Answering, authservice.Failing, authservice.Answering, authservice.Down,
	authservice.Garbage, authservice.Slow, authservice.Silent,
}

// soak is the running system.
type soak struct {
	dir     string
	modules []build.Module
	url     string
}

// marker is the response header that tells which configuration is in force.
const marker = "x-soak"

// configurations are those of one generation. Each changes with it.
func configurations(generation int) map[string]string {
	return map[string]string{
		"headers":    fmt.Sprintf(`{"request": {"set": {"x-a": "%d"}, "remove": ["x-b"]}, "response": {"set": {%q: "%d"}}}`, generation, marker, generation),
		"requestlog": fmt.Sprintf(`{"max_line_bytes": %d}`, 4096+generation%1024),
		"authtoken":  fmt.Sprintf(`{"cluster": "auth", "interval": "1s", "timeout": "500ms", "static": {"x-generation": "%d"}}`, generation),
	}
}

func (s *soak) file(filter string) string { return filepath.Join(s.dir, filter+".ecds.json") }

// write puts the files that Envoy watches in place.
func (s *soak) write(generation int) error {
	for _, m := range s.modules {
		content, err := envoyconf.Discovery(envoyconf.Filter{
			Name: m.Name, Source: envoyconf.Local{Path: m.Path}, Configuration: configurations(generation)[m.Name],
		}, fmt.Sprint(generation))
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(s.file(m.Name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *soak) bootstrap(upstream, auth int) ([]byte, error) {
	opts := envoyconf.BuildOptions{
		Upstream: envoyconf.Address{Port: upstream},
		Clusters: []envoyconf.Cluster{{Name: "auth", Address: envoyconf.Address{Port: auth}}},
	}
	var chain []envoyconf.Filter
	for _, m := range s.modules {
		chain = append(chain, envoyconf.Filter{Name: m.Name, Source: envoyconf.Discovered{Path: s.file(m.Name)}})
	}
	opts.Listeners = []envoyconf.Listener{{Filters: chain}}
	return envoyconf.Render(opts)
}

// reload changes the filters' configurations and waits until a response shows the
// change. A reload that the soak's end cuts short does not count.
func (s *soak) reload(ctx context.Context, generation int) error {
	if err := s.write(generation); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, converge)
	defer cancel()
	want, seen := fmt.Sprint(generation), ""
	err := every(limited, sampleEvery/10, func() error {
		header, err := get(limited, s.url+"/get", nil)
		if err != nil {
			return err
		}
		if seen = header.Get(marker); seen == want && header.Get("x-generation") == want {
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
		return fmt.Errorf("the configuration %s is not seen after %v: responses still show %q", want, converge, seen)
	}
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
