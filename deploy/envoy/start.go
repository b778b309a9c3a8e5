package envoy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	func_e "github.com/tetratelabs/func-e"
	"github.com/tetratelabs/func-e/api"
)

const (
	// defaultReadyTimeout is long: V8 needs seconds of a free processor to compile the modules
	// of the ordinary Go compiler, and busy machines have none.
	defaultReadyTimeout = 2 * time.Minute
	pollInterval        = 20 * time.Millisecond
	// runID is the name of func-e's folder inside ours.
	runID = "run"
)

// StartOptions describe one run of Envoy. Path, Config and Dir are required.
type StartOptions struct {
	// Path is the binary, as [Find] returns it.
	Path string
	// Config is the bootstrap, YAML or JSON. Ports may be 0.
	Config []byte
	// Dir is the folder for the configuration, the log and other files of this run. Start
	// creates it; the caller removes it.
	Dir string
	// Concurrency is the number of worker threads. Zero means 1.
	Concurrency int
	// LogLevel is the level of Envoy's own loggers. Empty means "info".
	LogLevel string
	// WasmLogLevel is the level of the wasm logger. Filters' messages below it are not logged.
	// Empty means "debug".
	WasmLogLevel string
	// Args are added to Envoy's command line.
	Args []string
	// ReadyTimeout limits the time until Envoy is ready. Zero means 2 minutes.
	ReadyTimeout time.Duration
	// OnLine is called with each line that Envoy writes, one at a time, before the line is in
	// [Proxy.Log]. Nil means that nothing is called.
	OnLine func(line string)
}

// Proxy is a running Envoy.
type Proxy struct {
	dir      string
	log      *Log
	logFile  string
	adminURL string

	stop context.CancelFunc
	done chan struct{}
	err  error // of the run; read after done
}

// Start runs Envoy through func-e and returns once it is ready. If it does not become ready,
// the error says why, with the relevant lines of its log.
//
// The process ends with [Proxy.Stop], with ctx, or with this process: on Linux the kernel
// kills it even if this process is killed.
func Start(ctx context.Context, o StartOptions) (*Proxy, error) {
	p, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start Envoy %s: %w", o.Path, err)
	}
	timeout := cmp.Or(o.ReadyTimeout, defaultReadyTimeout)
	readyCtx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not ready after %v", timeout))
	defer cancel()
	if err := p.awaitReady(readyCtx, filepath.Join(o.Dir, adminAddressFile)); err != nil {
		p.Stop() //nolint:errcheck // err says more
		return nil, fmt.Errorf("start Envoy %s: %w\n%s", o.Path, err, p.Report(nil))
	}
	return p, nil
}

const (
	configFile       = "envoy.yaml"
	adminAddressFile = "admin-address.txt"
)

func start(ctx context.Context, o StartOptions) (*Proxy, error) {
	if o.Path == "" || len(o.Config) == 0 || o.Dir == "" {
		return nil, errors.New("the options Path, Config and Dir must be given")
	}
	if o.OnLine == nil {
		o.OnLine = func(string) {}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	config := filepath.Join(o.Dir, configFile)
	if err := os.WriteFile(config, o.Config, 0o600); err != nil {
		return nil, err
	}
	// If an earlier run left its address here, it would be polled in vain.
	adminAddress := filepath.Join(o.Dir, adminAddressFile)
	if err := os.RemoveAll(adminAddress); err != nil {
		return nil, err
	}

	args := append([]string{
		"--config-path", config,
		"--admin-address-path", adminAddress,
		"--concurrency", strconv.Itoa(max(o.Concurrency, 1)),
		"--log-level", cmp.Or(o.LogLevel, "info"),
		"--component-log-level", "wasm:" + cmp.Or(o.WasmLogLevel, "debug"),
		// Only hot restart needs this shared memory. It would make two Envoys on one machine
		// collide.
		"--disable-hot-restart",
	}, o.Args...)

	ctx, cancel := context.WithCancel(ctx)
	p := &Proxy{
		dir:     o.Dir,
		log:     newLog(o.OnLine),
		logFile: filepath.Join(o.Dir, "runs", runID, "stderr.log"),
		stop:    cancel,
		done:    make(chan struct{}),
	}
	go func() {
		defer close(p.done)
		// func-e asks the kernel to kill Envoy when its parent *thread* ends
		// (PR_SET_PDEATHSIG), so that thread must live as long as Envoy:
		// https://github.com/golang/go/issues/27505
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.err = func_e.Run(ctx, args,
			api.EnvoyPath(o.Path),
			api.HomeDir(o.Dir), api.RunID(runID),
			api.Out(io.Discard),
			api.EnvoyOut(&lineWriter{add: p.log.add}),
			api.EnvoyErr(&lineWriter{add: p.log.add}))
	}()
	return p, nil
}

// awaitReady waits for the admin interface's address and for its /ready.
func (p *Proxy) awaitReady(ctx context.Context, adminAddress string) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if p.adminURL == "" {
			if address, err := os.ReadFile(adminAddress); err == nil && len(address) > 0 {
				p.adminURL = "http://" + strings.TrimSpace(string(address))
			}
		}
		if p.adminURL != "" {
			if _, err := p.Get(ctx, "/ready"); err == nil {
				return nil
			}
		}
		select {
		case <-ticker.C:
		case <-p.done:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			// Not p.err: if the admin interface was up already, func-e reports that the
			// interface is gone, and not how the process ended.
			return errors.New("it exited before it was ready")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// reportedLines limits the lines in an error.
const reportedLines = 40

// Report returns the last 40 lines of the log that keep accepts, and the path of the whole
// log. A failed test prints it. Nil keeps the [Relevant] lines.
func (p *Proxy) Report(keep func(line string) bool) string {
	if keep == nil {
		keep = Relevant
	}
	lines := slices.DeleteFunc(p.log.Lines(0), func(line string) bool { return !keep(line) })
	var b strings.Builder
	for _, line := range lines[max(0, len(lines)-reportedLines):] {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	fmt.Fprintf(&b, "  the whole log: %s", p.logFile)
	return b.String()
}

// Log returns what Envoy has written so far to standard output and standard error.
func (p *Proxy) Log() *Log { return p.log }

// LogFile returns the path of the file with Envoy's standard error, its log. stdout.log and
// config_dump.json are in the same folder.
func (p *Proxy) LogFile() string { return p.logFile }

// Done returns a channel that is closed when Envoy has exited for any reason.
func (p *Proxy) Done() <-chan struct{} { return p.done }

// Stop kills Envoy and waits until it has exited. It returns an error if Envoy had exited by
// itself before, which a proxy must not do. Calling it again does no harm.
func (p *Proxy) Stop() error {
	select {
	case <-p.done:
		p.stop()
		if p.err != nil {
			return fmt.Errorf("the proxy exited by itself: %w\n%s", p.err, p.Report(nil))
		}
		return nil
	default:
	}
	p.stop()
	<-p.done
	return nil
}
