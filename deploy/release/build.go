package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/build/tinygo"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
)

// build builds the modules, unless an earlier run built the ones that are there.
func (r *run) build(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	modules, err := build.Load(r.Dist, catalog.NamesOf(r.sources))
	if confirmed = err == nil && reflect.DeepEqual(sumsOf(modules), r.state.Modules); !confirmed {
		modules, err = r.Maker.Build(ctx, build.Options{
			Filters:       r.sources,
			Dist:          r.Dist,
			Compiler:      r.Compiler,
			GoToolchain:   r.GoToolchain,
			TinyGoVersion: r.TinyGoVersion,
			Out:           out,
		})
		if err != nil {
			return "", false, err
		}
	}
	if err := errors.Join(r.checkCompiler(modules), r.checkSources(ctx, modules)); err != nil {
		return "", false, err
	}
	r.release = build.Release{
		Version: r.Version, Revision: r.git.Commit, Source: r.git.Source, Created: r.git.Time, EnvoyTested: r.EnvoyTested,
	}
	r.release.Add(r.sources, modules)
	note = "with " + compiler(r.toolchain())
	if confirmed {
		return note, true, nil
	}
	if sums := sumsOf(modules); !reflect.DeepEqual(sums, r.state.Modules) {
		r.state = &state{Asked: r.state.Asked, Checked: r.state.Checked, Modules: sums}
	}
	return note, false, r.saveState()
}

func (r *run) wouldBuild() []string {
	return []string{"build " + strings.Join(catalog.NamesOf(r.sources), ", ")}
}

// toolchain is the compiler of all modules.
func (r *run) toolchain() build.Toolchain { return r.release.Filters[0].Module.Compiler }

// checkCompiler refuses modules built by a TinyGo that merely happens to be installed:
// nobody else could reproduce them from the commit.
func (r *run) checkCompiler(modules []build.Module) error {
	for _, m := range modules {
		if !m.Compiler.Pinned() && m.Compiler.Version != r.TinyGoVersion {
			return fmt.Errorf("%s was built with TinyGo %s, which is %w %s, and its version was not asked for", m.Name, m.Compiler.Version, ErrNotPinned, tinygo.Version)
		}
	}
	return nil
}

// checkSources makes sure that the modules were built from the present sources, and
// that these are the commit's. git status does not show ignored files, but the compiler
// reads them.
func (r *run) checkSources(ctx context.Context, modules []build.Module) (err error) {
	if r.files, err = build.FilesOf(ctx, r.sources, modules); err != nil {
		return err
	}
	now, err := gitinfo.Read(ctx, "", r.files...)
	if err != nil {
		return err
	}
	if len(now.Changed) > 0 {
		return fmt.Errorf("the modules were built from files that are not in commit %s, or differ from it: %s; commit or remove them", now.Commit, strings.Join(now.Changed, ", "))
	}
	return nil
}

// compiler names a toolchain, for people.
func compiler(c build.Toolchain) string {
	if c.Name == build.Go {
		return c.GoVersion
	}
	return fmt.Sprintf("%s %s and %s", c.Name, c.Version, c.GoVersion)
}

// whyDifferent explains why two builds differ, or says what to do about it.
func whyDifferent(first, second build.Module) string {
	if files := first.DifferentInputs(second.Record); len(files) > 0 {
		return "their sources are not the same: " + strings.Join(files, ", ")
	}
	return "the compiler makes other bytes of the same sources: look for what it takes from its folder, its environment or the time"
}

// rebuild builds the commit a second time, in isolation from the first build: in
// another folder, with empty caches, and without files that git does not know.
func (r *run) rebuild(ctx context.Context, out io.Writer) (note string, confirmed bool, err error) {
	const same = "another folder and empty caches give the same bytes"
	if r.state.Rebuilt {
		return same, true, nil
	}
	dir, err := filepath.Abs(r.work("rebuild"))
	if err != nil {
		return "", false, err
	}
	// A run that was killed may have left the folder.
	if err := os.RemoveAll(dir); err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	modules, err := r.buildIn(ctx, dir, out)
	if err != nil {
		return "", false, err
	}
	for i, second := range modules {
		if first := r.release.Filters[i].Module; !reflect.DeepEqual(first.Record, second.Record) {
			return "", false, fmt.Errorf("%s: two builds of commit %s differ: the first has wasm sha256 %s with %s, the second %s with %s; %s",
				first.Name, r.git.Commit, first.WasmSHA256, compiler(first.Compiler), second.WasmSHA256, compiler(second.Compiler), whyDifferent(first, second))
		}
	}
	r.state.Rebuilt = true
	return same, false, r.saveState()
}

func (r *run) wouldRebuild() []string {
	return r.unless(r.state.Rebuilt, "build them again from the commit, in another folder with empty caches, and compare")
}

// buildIn checks the commit out in a folder and builds it there.
func (r *run) buildIn(ctx context.Context, dir string, out io.Writer) ([]build.Module, error) {
	checkout := filepath.Join(dir, "checkout")
	if err := os.MkdirAll(checkout, 0o755); err != nil {
		return nil, err
	}
	// A separate index leaves the repository's own unchanged.
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}
	if _, err := gitinfo.Git(ctx, gitinfo.GitOptions{Env: index}, "read-tree", r.git.Commit); err != nil {
		return nil, err
	}
	top, err := gitinfo.Git(ctx, gitinfo.GitOptions{}, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	if _, err := gitinfo.Git(ctx, gitinfo.GitOptions{Dir: top, Env: index}, "checkout-index", "--all", "--prefix="+checkout+"/"); err != nil {
		return nil, err
	}
	filters := make([]catalog.Filter, len(r.sources))
	for i, f := range r.sources {
		folder, err := inCheckout(top, f.Dir)
		if err != nil {
			return nil, err
		}
		filters[i] = f
		filters[i].Dir = filepath.Join(checkout, folder)
	}
	return r.Maker.Build(ctx, build.Options{
		Filters:       filters,
		Dist:          filepath.Join(dir, "dist"),
		Compiler:      r.toolchain().Name,
		GoToolchain:   r.GoToolchain,
		TinyGoVersion: r.TinyGoVersion,
		Cache:         filepath.Join(dir, "cache"),
		Out:           out,
	})
}

// inCheckout returns a folder's path relative to the top of the checkout. git gives the
// top with its symbolic links resolved.
func inCheckout(top, folder string) (string, error) {
	resolved, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return "", err
	}
	relative, err := filepath.Rel(top, resolved)
	if err == nil && !filepath.IsLocal(relative) {
		err = fmt.Errorf("%s is not in the checkout %s", folder, top)
	}
	return relative, err
}
