package gorun

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/slipway-wasm/slipway/deploy/internal/children"
)

// Folder returns a folder whose go.mod has the versions of one of Slipway's modules, such as
// "deploy/storage/cloud", or "." for the one above all. The go command builds the module's
// packages in it, and the tools that the module's go.mod names.
//
// If this program was compiled from a folder with Slipway's source, it is the module's folder
// there. Otherwise this program was compiled from a module's archive, which is read-only and
// lacks the modules below it. Then Folder fetches the module in the same version, and writes
// a module that requires it into the user's cache folder.
func Folder(ctx context.Context, folder string) (string, error) {
	source, ok := archive()
	if !ok {
		_, self, _, _ := runtime.Caller(0)
		top, err := root(ctx, self)
		return filepath.Join(top, filepath.FromSlash(folder)), err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return source.folder(ctx, filepath.Join(cache, "slipway", "modules"), folder)
}

// root returns the folder of Slipway's source that this program was compiled from. self is the
// name of this file in it. With -trimpath that is no path, and the working directory's go.mod
// has to know the folder.
func root(ctx context.Context, self string) (string, error) {
	if filepath.IsAbs(self) {
		return filepath.Join(filepath.Dir(self), "..", "..", ".."), nil
	}
	dir, err := Output(ctx, ".", "list", "-m", "-f", "{{.Dir}}", Slipway)
	if err != nil {
		return "", fmt.Errorf("find Slipway's source, whose place this program was built without (-trimpath): %w", err)
	}
	return dir, nil
}

// fetched is a module's archive with Slipway.
type fetched struct {
	required       module.Version // as go.mod requires it
	module.Version                // the archive: another one if go.mod replaces Slipway by it
	sum            string         // of the archive, as in go.sum; empty if it is not known
}

// archive returns the module's archive that this program was compiled from. It is false for a
// program that was compiled from a folder.
func archive() (fetched, bool) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fetched{}, false
	}
	return archiveOf(info)
}

func archiveOf(info *debug.BuildInfo) (fetched, bool) {
	for _, dep := range info.Deps {
		if dep.Path != Slipway {
			continue
		}
		used := cmp.Or(dep.Replace, dep)
		return fetched{
			required: module.Version{Path: dep.Path, Version: dep.Version},
			Version:  module.Version{Path: used.Path, Version: used.Version},
			sum:      used.Sum,
		}, semver.IsValid(used.Version) // a folder has no version, or "(devel)"
	}
	return fetched{}, false // Slipway is the main module
}

// folder returns the written module for one of Slipway's. It is complete once it is there, and
// never changes, so that any number of processes can use and make it.
func (s fetched) folder(ctx context.Context, cache, below string) (string, error) {
	id := sha256.Sum256([]byte(s.Path + "@" + s.Version.Version + " " + s.sum))
	place := filepath.Join(cache, fmt.Sprintf("%s-%x", s.Version.Version, id[:4]), nameOf(below))
	if _, err := os.Stat(filepath.Join(place, "go.mod")); err == nil {
		return place, nil
	}
	if err := s.write(ctx, place, below); err != nil {
		return "", fmt.Errorf("fetch %s in the version of Slipway, %s: %w", path.Join(s.Path, below), s.Version.Version, err)
	}
	return place, nil
}

func (s fetched) write(ctx context.Context, place, below string) (err error) {
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(filepath.Dir(place), ".stage-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()

	archives := []download{{}}
	if archives[0], err = s.download(ctx, stage); err != nil {
		return err
	}
	if below != "." {
		nested, err := s.downloadBelow(ctx, stage, below, archives[0])
		if err != nil {
			return err
		}
		archives = append(archives, nested)
	}
	last := archives[len(archives)-1]
	text, err := os.ReadFile(filepath.Join(last.Dir, "go.mod"))
	if err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(last.Dir, "go.sum"))
	if err != nil {
		return err
	}
	if text, err = s.goMod(text, below, last.Version); err != nil {
		return err
	}
	for _, a := range archives {
		sums = fmt.Appendf(sums, "%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", a.Path, a.Version, a.Sum, a.GoModSum)
	}
	for name, content := range map[string][]byte{"go.mod": text, "go.sum": sums} {
		if err := os.WriteFile(filepath.Join(stage, name), content, 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(stage, 0o755); err != nil {
		return err
	}
	err = os.Rename(stage, place)
	if _, there := os.Stat(filepath.Join(place, "go.mod")); there == nil {
		return nil // another process made the same
	}
	return err
}

// nameOf is the name of the written module for one of Slipway's.
func nameOf(below string) string {
	return strings.ReplaceAll(path.Join("slipway", below), "/", "-")
}

// goMod returns the go.mod of one of Slipway's modules, rewritten for a module that requires
// it. What it replaces are folders beside it, which the archive does not have.
func (s fetched) goMod(text []byte, below, version string) ([]byte, error) {
	mod, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	for _, r := range mod.Replace {
		if err := mod.DropReplace(r.Old.Path, r.Old.Version); err != nil {
			return nil, err
		}
	}
	if err := mod.AddModuleStmt(nameOf(below)); err != nil {
		return nil, err
	}
	require := func(below string, required string, used string) error {
		if err := mod.AddRequire(path.Join(Slipway, below), required); err != nil || s.Path == Slipway && required == used {
			return err
		}
		return mod.AddReplace(path.Join(Slipway, below), required, path.Join(s.Path, below), used)
	}
	if below != "." {
		if err := require(below, version, version); err != nil {
			return nil, err
		}
	}
	// The module of the filters requires nothing else of Slipway, and an older Go.
	if below == "." || slices.ContainsFunc(mod.Require, func(r *modfile.Require) bool { return r.Mod.Path == Slipway }) {
		if err := require(".", s.required.Version, s.Version.Version); err != nil {
			return nil, err
		}
	}
	mod.Cleanup()
	return mod.Format()
}

// download is what "go mod download -json" says of a module:
// https://go.dev/ref/mod#go-mod-download
type download struct {
	Path, Version, Error string
	Dir                  string
	Sum, GoModSum        string
	Origin               struct{ Hash string }
}

// download fetches Slipway, or finds it in the module cache. It must be the one that this
// program was compiled from.
func (s fetched) download(ctx context.Context, stage string) (download, error) {
	d, err := fetch(ctx, stage, s.Path+"@"+s.Version.Version)
	if err == nil && s.sum != "" && s.sum != d.Sum {
		err = fmt.Errorf("%s@%s has the sum %s, and this program was compiled from one with %s", s.Path, s.Version.Version, d.Sum, s.sum)
	}
	return d, err
}

// downloadBelow fetches one of Slipway's modules in the version of Slipway or, if there is no
// such version, at the commit of it.
func (s fetched) downloadBelow(ctx context.Context, stage, below string, above download) (download, error) {
	nested := path.Join(s.Path, below)
	d, err := fetch(ctx, stage, nested+"@"+s.Version.Version)
	if err == nil {
		return d, nil
	}
	commit := above.Origin.Hash
	if module.IsPseudoVersion(s.Version.Version) {
		var revErr error
		if commit, revErr = module.PseudoVersionRev(s.Version.Version); revErr != nil {
			return download{}, errors.Join(err, revErr)
		}
	}
	if commit == "" || ctx.Err() != nil {
		return download{}, err
	}
	d, commitErr := fetch(ctx, stage, nested+"@"+commit)
	if commitErr != nil {
		return download{}, errors.Join(err, commitErr)
	}
	return d, nil
}

// fetch runs "go mod download" outside of any module. The go command checks the sums as its
// environment says.
func fetch(ctx context.Context, stage, query string) (download, error) {
	cmd := goCommand(ctx, stage, "mod", "download", "-json", query)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := children.Output(cmd)
	if ctx.Err() != nil {
		return download{}, context.Cause(ctx)
	}
	var d download
	if jsonErr := json.Unmarshal(output, &d); jsonErr != nil || err != nil || d.Error != "" {
		return download{}, fmt.Errorf("go mod download %s: %s", query, cmp.Or(d.Error, strings.TrimSpace(stderr.String()), fmt.Sprint(errors.Join(err, jsonErr))))
	}
	return d, nil
}
