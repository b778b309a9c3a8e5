package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/fatih/color"
	"github.com/google/renameio/v2"
	"github.com/mccutchen/go-httpbin/v2/httpbin"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
	"github.com/slipway-wasm/slipway/deploy/internal/scratch"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/local"
)

// readyTimeout is long enough for a busy machine.
const readyTimeout = 5 * time.Minute

// options say what to run, and where.
type options struct {
	foreground.Options
	Filter string
	Dist   string // where modules are built; empty means dist/dev in Root
	Color  bool
}

// session is one run.
type session struct {
	options
	view *view
	dir  string // the session's files, including the one that Envoy watches
	last loaded // what Envoy accepted last

	guest    *local.Guest
	module   string                      // the file with the module that was built last
	outcomes map[string]scenario.Outcome // of the scenarios when they were played last
}

// loaded identifies what Envoy has loaded.
type loaded struct{ wasmSHA256, configuration string }

// dev runs the filter until ctx ends, which is not an error.
func dev(ctx context.Context, o options) (err error) {
	// Not dist itself: its modules are going to be published.
	o.Dist = cmp.Or(o.Dist, filepath.Join(o.Root, "dist", "dev"))
	s := &session{options: o, view: newView(o.Out, o.Color)}
	// Everything that runs in the session stops before its folder is removed.
	ctx, cancel := context.WithCancel(ctx)
	var remove func() error
	if s.dir, remove, err = scratch.Dir("", "dev-"); err != nil {
		cancel()
		return err
	}
	defer func() {
		cancel()
		if err == nil {
			err = remove()
		}
	}()
	err = s.run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *session) run(ctx context.Context) (err error) {
	addresses, err := s.CheckFree()
	if err != nil {
		return err
	}
	filter, err := s.filter()
	if err != nil {
		return err
	}
	w, err := newWatcher(ctx)
	if err != nil {
		return err
	}
	if err := w.watch(append([]string{filter.Dir}, scenarioFolders(filter)...)); err != nil {
		return err
	}
	site, err := s.Open(ctx, addresses, filter, httpbin.New())
	if err != nil {
		return err
	}
	defer foreground.CloseInto(&err, site.Close)

	if err := s.first(ctx, w); err != nil {
		return err
	}
	if s.guest, err = local.NewGuest(filepath.Join(s.dir, "dynamic"), slices.Collect(maps.Keys(site.Services))); err != nil {
		return err
	}
	site.Dynamic = filepath.Join(s.dir, "dynamic")
	rendered, err := site.Render(envoyconf.Filter{Name: s.Filter, Source: envoyconf.Discovered{Path: s.discoveryFile()}})
	if err != nil {
		return err
	}
	proxy, err := envoy.Start(ctx, envoy.StartOptions{
		Path:         site.Envoy.Path,
		Config:       rendered,
		Dir:          filepath.Join(s.dir, "envoy"),
		WasmLogLevel: "trace", // tells the context of each line
		// Listeners of scenarios that were played have no connections.
		Args:         []string{"--drain-time-s", "1"},
		ReadyTimeout: readyTimeout,
		OnLine:       s.view.envoy,
	})
	if err != nil {
		return err
	}
	defer foreground.CloseInto(&err, proxy.Stop)
	s.view.serve()
	if stats, err := discoveryStats(ctx, proxy, s.Filter); err != nil {
		return err
	} else if stats.rejected > 0 {
		s.last = loaded{}
		s.refused()
	}
	s.view.print(fmt.Sprintf(`
%s runs in Envoy %s with httpbin behind it.

  admin  http://%s
  log    %s

Try:

  %s

Save a file: the next request meets the new module, and the scenarios are played.
Ctrl-C ends everything.

`, s.view.paint(s.Filter, color.Bold), site.Envoy.Version, s.Admin, proxy.LogFile(),
		s.view.paint("curl -i http://"+s.Listener+"/headers", color.Bold)))
	return s.follow(ctx, w, proxy, site.Envoy)
}

// first builds until a build succeeds for the first time: Envoy has nothing yet that it could
// keep.
func (s *session) first(ctx context.Context, w *watcher) error {
	for {
		_, err := s.build(ctx, time.Now())
		if watchErr := s.watchSources(ctx, w); watchErr != nil {
			return watchErr
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.failed(err, "Save a file to try again.")
		select {
		case <-w.saves:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow loads the filter after every save. A new save cancels the build for an earlier one.
// If Envoy has already got the earlier one, follow waits until Envoy is done with it.
func (s *session) follow(ctx context.Context, w *watcher, proxy *envoy.Proxy, binary envoy.Binary) error {
	began := time.Now()
	stop := inBackground(ctx, func(playing context.Context) { s.play(playing, proxy, binary, began) })
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-proxy.Done():
			return errors.New("Envoy has ended\n" + proxy.Report(nil)) //nolint:staticcheck // a name
		case saved := <-w.saves:
			stop()
			stop = inBackground(ctx, func(building context.Context) {
				s.load(ctx, building, proxy, binary, saved)
				if err := s.watchSources(building, w); err != nil && building.Err() == nil {
					s.failed(err, "")
				}
			})
		}
	}
}

// inBackground runs work. stop cancels it, and waits until it has ended.
func inBackground(ctx context.Context, work func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	return func() { cancel(); <-done }
}

// load builds what was saved, hands it to Envoy, and prints the result. If the build is no
// longer wanted, building ends before ctx.
func (s *session) load(ctx, building context.Context, proxy *envoy.Proxy, binary envoy.Binary, saved time.Time) {
	keeps := "Envoy keeps what it has."
	before, err := discoveryStats(ctx, proxy, s.Filter)
	if err != nil {
		if ctx.Err() == nil {
			s.failed(err, keeps)
		}
		return
	}
	last := s.last
	built, err := s.build(building, saved)
	if err != nil {
		if building.Err() == nil {
			s.failed(err, keeps)
		}
		return
	}
	// Whatever becomes of the module and its configuration.
	defer func() { s.play(building, proxy, binary, saved) }()
	if s.last == last {
		s.view.say(color.FgGreen, "same", "the module and its configuration are what Envoy has")
		return
	}
	after, err := awaitChange(ctx, proxy, s.Filter, before)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.failed(err, "")
	case after.rejected > before.rejected:
		s.last = last
		s.refused()
	default:
		now := time.Now()
		s.view.say(color.FgGreen, "loaded", "%s after the save: built in %s, loaded in %s", seconds(now.Sub(saved)), seconds(built.Sub(saved)), seconds(now.Sub(built)))
	}
}

// build compiles the filter. If the module or the configuration changed, it writes the file
// that Envoy watches. It returns the time at which the build was done.
func (s *session) build(ctx context.Context, began time.Time) (time.Time, error) {
	filter, err := s.filter()
	if err != nil {
		return time.Time{}, err
	}
	configuration, err := filter.Metadata.ExampleConfiguration()
	if err != nil {
		return time.Time{}, err
	}
	modules, err := build.Build(ctx, build.Options{
		Filters:       []catalog.Filter{filter},
		Dist:          s.Dist,
		Compiler:      s.Config.Compiler,
		GoToolchain:   s.Config.GoToolchain,
		TinyGoVersion: s.Config.TinyGoVersion,
	})
	if err != nil {
		return time.Time{}, err
	}
	module := modules[0]
	now := loaded{module.WasmSHA256, configuration}
	if now == s.last {
		return time.Now(), nil
	}
	// Each module gets a name of its own: Envoy must not read half of the next one. It also
	// does not compile a module again that it has seen.
	wasm, err := os.ReadFile(module.Path)
	if err != nil {
		return time.Time{}, err
	}
	path := filepath.Join(s.dir, module.WasmSHA256+".wasm")
	s.module = path
	if err := renameio.WriteFile(path, wasm, 0o644); err != nil {
		return time.Time{}, err
	}
	content, err := envoyconf.Discovery(envoyconf.Filter{
		Name:          s.Filter,
		Configuration: configuration,
		Source:        envoyconf.Local{Path: path},
	}, module.WasmSHA256)
	if err != nil {
		return time.Time{}, err
	}
	built := time.Now()
	s.view.say(color.FgGreen, "built", "in %s by %s %s, %d bytes; Envoy loads it", seconds(built.Sub(began)), module.Compiler.Name, module.Compiler.Version, module.Size)
	if err := os.MkdirAll(filepath.Dir(s.discoveryFile()), 0o755); err != nil {
		return time.Time{}, err
	}
	if err := renameio.WriteFile(s.discoveryFile(), content, 0o644); err != nil {
		return time.Time{}, err
	}
	s.last = now
	return built, nil
}

// discoveryFile is in a separate folder, because Envoy is notified of each file that appears
// there.
func (s *session) discoveryFile() string { return filepath.Join(s.dir, "discovery", "filter.json") }

// filter reads filter.yaml, which may have been saved meanwhile.
func (s *session) filter() (catalog.Filter, error) {
	filters, err := catalog.Load(catalog.LoadOptions{Dir: filepath.Join(s.Root, "filter"), Names: []string{s.Filter}})
	if err != nil {
		return catalog.Filter{}, err
	}
	return filters[0], nil
}

// watchSources watches the folders of the filter's sources. If the imports cannot be read, it
// goes on watching the folders from before.
func (s *session) watchSources(ctx context.Context, w *watcher) error {
	filter, err := s.filter()
	if err != nil {
		return nil //nolint:nilerr // the build has said so
	}
	compiler, err := build.Find(s.Config.Compiler, s.Config.GoToolchain, s.Config.TinyGoVersion)
	if err != nil {
		return err
	}
	toolchain, err := compiler.Describe(ctx)
	if err != nil {
		return nil //nolint:nilerr // the build has said so
	}
	sources, err := build.ReadSources(ctx, []catalog.Filter{filter}, toolchain)
	if err != nil {
		return nil //nolint:nilerr // the build has said so
	}
	folders := append([]string{filter.Dir}, scenarioFolders(filter)...)
	for _, file := range sources[0].Own {
		if folder := filepath.Dir(file); !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	return w.watch(folders)
}

// relative matches the start of a path that the go command prints relative to the filter's
// folder.
var relative = regexp.MustCompile(`(?m)^\./`)

func (s *session) failed(err error, then string) {
	s.view.say(color.FgRed, "failed", "%s", then)
	text := relative.ReplaceAllString(err.Error(), filepath.Join("filter", s.Filter)+string(filepath.Separator))
	s.view.print(text + "\n")
}

func (s *session) refused() {
	s.view.say(color.FgRed, "refused", "Envoy does not take it, as said above, and keeps what it has.")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }

// discovery holds Envoy's counters of the updates that it read from the file.
type discovery struct{ taken, rejected uint64 }

func discoveryStats(ctx context.Context, proxy *envoy.Proxy, filter string) (discovery, error) {
	stats, err := proxy.Stats(ctx)
	prefix := "extension_config_discovery.http_filter." + filter + "."
	return discovery{stats[prefix+"update_success"], stats[prefix+"update_rejected"]}, err
}

// awaitChange waits until Envoy has accepted or refused the update.
func awaitChange(ctx context.Context, proxy *envoy.Proxy, filter string, before discovery) (discovery, error) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		// The admin interface does not answer meanwhile: its thread is the one that compiles.
		now, err := discoveryStats(ctx, proxy, filter)
		if err != nil || now != before {
			return now, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return now, ctx.Err()
		}
	}
}
