package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
)

// bench is what all repositories have in common.
type bench struct {
	Options
	dir  string // for everything
	mage string // the compiled targets
	key  key
}

// action is one thing to measure.
type action struct {
	name string
	// target is the target with its arguments.
	target []string
	// prepare runs before, and is not measured. Nil means nothing.
	prepare func(context.Context) error
	// changed is the number of filters that changed since the action before.
	changed int
}

// play makes a repository with n filters, and takes it from its first build to its
// releases.
func (b bench) play(ctx context.Context, n int, release bool, log io.Writer) (rows []named, compiler build.Toolchain, err error) {
	dir, err := os.MkdirTemp(b.dir, fmt.Sprintf("%d-filters-", n))
	if err != nil {
		return nil, compiler, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := newProject(ctx, filepath.Join(dir, "repository"), n)
	if err != nil {
		return nil, compiler, err
	}
	stores, err := startStores(ctx, filepath.Join(dir, "stores"))
	if err != nil {
		return nil, compiler, err
	}
	defer func() { err = errors.Join(err, stores.close()) }()

	actions := []action{
		{name: "build, cold", target: []string{"build"}, changed: n},
		{name: "build, nothing changed", target: []string{"build"}},
		{name: "push, at first", target: []string{"push", "1.0.0"}, changed: n},
		{name: "push, nothing changed", target: []string{"push", "1.0.0"}},
		{name: "build, one filter changed", target: []string{"build"}, prepare: p.change, changed: 1},
		{name: "push the next version", target: []string{"push", "1.1.0"}, changed: 1},
	}
	if release {
		actions = append(actions,
			action{name: "release, at first", target: []string{"release", "2.0.0"}, changed: n, prepare: func(ctx context.Context) error {
				// As in a fresh clone, with a registry that has never seen it.
				return errors.Join(os.RemoveAll(p.dist()), p.git(ctx, "tag", "v2.0.0"), stores.renew(ctx))
			}},
			action{name: "release, nothing changed", target: []string{"release", "2.0.0"}})
	}
	for _, a := range actions {
		fmt.Fprintf(log, "pipeline: %s (filters: %d)\n", a.name, n)
		r, err := b.act(ctx, p, stores, a)
		if err != nil {
			return nil, compiler, err
		}
		r.Filters = n
		rows = append(rows, named{a.name, r})
	}
	compiler, err = p.compiler()
	return rows, compiler, err
}

// act runs one action in a process of its own.
func (b bench) act(ctx context.Context, p *project, s *stores, a action) (Row, error) {
	if a.prepare != nil {
		if err := a.prepare(ctx); err != nil {
			return Row{}, err
		}
	}
	before := p.modules()
	s.registry.take()
	spent, err := execute(ctx, p.dir, environment(
		"COMPILER="+b.Compiler, "FILTER_GOTOOLCHAIN="+b.GoToolchain, "TINYGO_VERSION="+b.TinyGoVersion,
		"REGISTRY="+s.registry.addr+"/filters", "DOCKER_CONFIG="+s.dir,
		"STORAGE_URL=file://"+s.files, "STORAGE_PUBLIC_URL="+s.public.URL(""),
		"SIGN_KEY="+b.key.private, "COSIGN_PASSWORD="+password, "VERIFY_KEY="+b.key.public,
	), b.mage, a.target...)
	if err != nil {
		return Row{}, err
	}
	seen := s.registry.take()
	return Row{
		Changed: a.changed,
		Seconds: spent.wall.Seconds(), CPUSeconds: spent.cpu.Seconds(), PeakRSS: spent.peak,
		Built: p.modules().newSince(before),
		Reads: seen.reads, Writes: seen.writes, Blobs: seen.blobs,
	}, nil
}

// stores are where a repository publishes. They run in this process, so what they use
// is not counted.
type stores struct {
	dir      string
	registry *counting
	files    string // the storage's folder
	public   *httpstore.Server
}

func startStores(ctx context.Context, dir string) (*stores, error) {
	s := &stores{dir: dir, files: filepath.Join(dir, "files")}
	if err := os.MkdirAll(s.files, 0o755); err != nil {
		return nil, err
	}
	var err error
	if s.public, err = httpstore.Serve(httpstore.ServeOptions{Dir: s.files}); err != nil {
		return nil, err
	}
	if s.registry, err = startRegistry(ctx, filepath.Join(dir, "registry")); err != nil {
		return nil, errors.Join(err, s.public.Close())
	}
	return s, nil
}

// renew replaces the registry by an empty one.
func (s *stores) renew(ctx context.Context) error {
	dir, err := os.MkdirTemp(s.dir, "registry-")
	if err != nil {
		return err
	}
	registry, err := startRegistry(ctx, dir)
	if err != nil {
		return err
	}
	old := s.registry
	s.registry = registry
	return old.close()
}

func (s *stores) close() error {
	return errors.Join(s.registry.close(), s.public.Close())
}
