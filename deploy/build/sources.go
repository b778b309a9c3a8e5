package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/checksum"
)

// ErrSourcesChanged says that the sources are no longer the ones that a module was built from.
// CheckSources returns it, possibly wrapped.
var ErrSourcesChanged = errors.New("the sources changed since this was built")

// Package is one Go package of a module, as "go list -json" prints it.
type Package struct {
	ImportPath string
	Dir        string
	Name       string
	Standard   bool
	Module     *PackageModule

	// The files that a compiler or linker may read, without tests.
	GoFiles, CgoFiles                          []string
	CFiles, CXXFiles, MFiles, HFiles, FFiles   []string
	SFiles, SwigFiles, SwigCXXFiles, SysoFiles []string
	EmbedFiles                                 []string
}

// PackageModule is the Go module of a Package.
type PackageModule struct {
	Path, Version string
	Main          bool
	GoMod         string // the file go.mod
	Replace       *struct{ Path, Version string }
}

// version returns the path and the version that identify the module's content. A folder has no
// version: neither the filter's own module nor a module that is replaced by a folder.
func (m *PackageModule) version() GoModule {
	switch {
	case m.Replace == nil:
		return GoModule{Path: m.Path, Version: m.Version}
	case m.Replace.Version != "":
		return GoModule{Path: m.Replace.Path, Version: m.Replace.Version}
	}
	// The name of a folder means something on this machine only.
	return GoModule{Path: m.Path}
}

// lister lists the sources of filters with the go command. The Go release is the one whose
// standard library is compiled in, for both compilers. For TinyGo it adds TinyGo's build tags.
// So a machine with the record, but without TinyGo, gets the same list.
type lister struct {
	toolchain Toolchain
	cache     string // see Options.Cache
}

// all lists the sources of the filters, by folder. It runs one command for all filters that
// lie side by side, because starting the command takes longer than listing one more filter. If
// that fails for some filters, they are left out; listing one alone shows why.
func (l lister) all(ctx context.Context, filters []catalog.Filter) map[string][]Package {
	neighbours := map[string][]string{}
	for _, f := range filters {
		parent := filepath.Dir(f.Dir)
		neighbours[parent] = append(neighbours[parent], f.Dir)
	}
	sources := map[string][]Package{}
	for _, dirs := range neighbours {
		if lists, err := l.list(ctx, dirs...); err == nil {
			for i, dir := range dirs {
				sources[dir] = lists[i]
			}
		}
	}
	return sources
}

// one lists the sources of the filter in one folder.
func (l lister) one(ctx context.Context, dir string) ([]Package, error) {
	lists, err := l.list(ctx, dir)
	if err != nil {
		return nil, err
	}
	return lists[0], nil
}

// list lists the packages that go into the filter in each folder, in the order of the folders:
// its own packages and its dependencies, without the standard library. All folders have the
// same parent folder and belong to one Go module.
func (l lister) list(ctx context.Context, dirs ...string) ([][]Package, error) {
	env := append(environment(l.toolchain.GoVersion, l.cache), platform...)
	args := []string{"list", "-deps", "-json=" + strings.Join(listedFields, ",")}
	if l.toolchain.Name == TinyGo {
		// TinyGo compiles files that import "C". Its standard library also has packages that
		// Go's lacks, "machine" for example; it is not an error that they are not found.
		env = append(env, "CGO_ENABLED=1")
		args = append(args, "-e", "-tags="+strings.Join(l.toolchain.BuildTags, ","))
	}
	args = append(args, ".")
	for _, dir := range dirs[1:] {
		args = append(args, "../"+filepath.Base(dir))
	}
	output, err := output(ctx, dirs[0], env, "go", args...)
	if err != nil {
		return nil, err
	}
	return parseList(output, dirs)
}

// listed is a package in the output of "go list -json -deps".
type listed struct {
	Package
	Deps    []string // import paths of everything that it imports, directly or not
	DepOnly bool     // it is only a dependency
}

// listedFields are the fields of listed. Without them the go command prints all fields, and
// takes longer: it also finds out what would have to be built.
var listedFields = []string{
	"ImportPath", "Dir", "Name", "Standard", "Module", "Deps", "DepOnly",
	"GoFiles", "CgoFiles", "CFiles", "CXXFiles", "MFiles", "HFiles", "FFiles",
	"SFiles", "SwigFiles", "SwigCXXFiles", "SysoFiles", "EmbedFiles",
}

// parseList reads the output of "go list -json -deps" for the filters in some folders.
func parseList(output []byte, dirs []string) ([][]Package, error) {
	var roots []listed
	packages := map[string]Package{}
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the package list: %w", err)
		}
		if !p.Standard {
			packages[p.ImportPath] = p.Package
		}
		if !p.DepOnly {
			roots = append(roots, p)
		}
	}
	result := make([][]Package, len(dirs))
	for i, dir := range dirs {
		root := slices.IndexFunc(roots, func(r listed) bool {
			// The go command may have followed symbolic links.
			return len(dirs) == 1 || filepath.Base(r.Dir) == filepath.Base(dir)
		})
		if root < 0 {
			return nil, fmt.Errorf("read the package list: %s is not in it", dir)
		}
		for _, path := range append(roots[root].Deps, roots[root].ImportPath) {
			if p, ok := packages[path]; ok {
				result[i] = append(result[i], p)
			}
		}
	}
	return result, nil
}

// Sources are the files that a filter is made of.
type Sources struct {
	// Inputs are their names and sha256: see Record.Inputs.
	Inputs map[string]string
	// Own are the files of Go modules without a version, as absolute paths: of the filter's
	// own module, and of folders that replace a module. Only a commit identifies their
	// content.
	Own []string

	paths map[string]string // of the files, by name
}

// ReadSources reads the sources from which each filter would be built now with a toolchain, in
// the order of the filters. The only part of the toolchain that it runs is the go command,
// which fetches missing Go releases and Go modules.
func ReadSources(ctx context.Context, filters []catalog.Filter, toolchain Toolchain) ([]Sources, error) {
	list := lister{toolchain: toolchain}
	listed := list.all(ctx, filters)
	all := make([]Sources, len(filters))
	for i, f := range filters {
		packages, ok := listed[f.Dir]
		var err error
		if !ok {
			packages, err = list.one(ctx, f.Dir)
		}
		if err == nil {
			all[i], err = readSources(packages)
		}
		if err != nil {
			return nil, fmt.Errorf("list the sources of %s: %w", f.Name, err)
		}
	}
	return all, nil
}

// CheckSources makes sure that modules, as Load returned them, were built from the current
// sources of the filters. It returns the sources that only a commit identifies: see
// Sources.Own. The error is ErrSourcesChanged, with the names of the files, or the error of
// reading the sources.
//
// It lists the files anew, with the Go release and the build tags of the module's record. It
// does not take the list from the record: an added file counts as a change, too. TinyGo need
// not be installed. So a job can publish what another job built, if it has the same sources.
func CheckSources(ctx context.Context, filters []catalog.Filter, modules []Module) (own []string, err error) {
	alike := map[string][]int{} // filters that were built by the same toolchain
	for i, m := range modules {
		key := fmt.Sprintf("%q", m.Compiler)
		alike[key] = append(alike[key], i)
	}
	var problems []error
	for _, indexes := range alike {
		var group []catalog.Filter
		for _, i := range indexes {
			group = append(group, filters[i])
		}
		sources, err := ReadSources(ctx, group, modules[indexes[0]].Compiler)
		if err != nil {
			return nil, err
		}
		for k, i := range indexes {
			own = append(own, sources[k].Own...)
			if changed := sources[k].changed(modules[i].Inputs); len(changed) > 0 {
				problems = append(problems, fmt.Errorf("%s: %w: %s; check out what it was built from",
					modules[i].Name, ErrSourcesChanged, strings.Join(changed, ", ")))
			}
		}
	}
	slices.Sort(own)
	return slices.Compact(own), errors.Join(problems...)
}

// shown limits how many files an error names: dropping one import drops many files.
const shown = 5

// changed names the files that differ from the given inputs. Names of files below the working
// directory are relative to it. Existing files come first, and beyond shown they are only
// counted.
func (s Sources) changed(inputs map[string]string) []string {
	folders := map[string]string{} // for files that no longer exist
	for name, file := range s.paths {
		folders[path.Dir(name)] = filepath.Dir(file)
	}
	here, err := os.Getwd()
	var there, gone []string
	for _, name := range differentInputs(s.Inputs, inputs) {
		text := name
		if folder, ok := folders[path.Dir(name)]; ok {
			text = filepath.Join(folder, path.Base(name))
			if relative, relErr := filepath.Rel(here, text); err == nil && relErr == nil && filepath.IsLocal(relative) {
				text = relative
			}
		}
		if _, ok := s.paths[name]; ok {
			there = append(there, text)
		} else {
			gone = append(gone, text)
		}
	}
	names := slices.Concat(there, gone)
	if more := len(names) - shown; more > 0 {
		names = append(names[:shown:shown], fmt.Sprintf("and %d more", more))
	}
	return names
}

// differentInputs returns the names of the files that differ between a and b, sorted.
func differentInputs(a, b map[string]string) []string {
	var names []string
	for name, sum := range a {
		if b[name] != sum {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// readSources hashes the files of some packages, and the go.mod and go.sum that chose them.
// go.mod also sets the Go version of the language and of GODEBUG. All of go.mod counts, though
// a comment changes no byte of the module: see RATIONALE.md.
func readSources(packages []Package) (Sources, error) {
	s := Sources{Inputs: map[string]string{}, paths: map[string]string{}}
	own := map[string]bool{}
	add := func(name, file string, versioned bool) error {
		sum, err := checksum.File(os.Open, file)
		if err != nil {
			return err
		}
		s.Inputs[name], s.paths[name] = sum, file
		if !versioned {
			own[file] = true
		}
		return nil
	}
	for _, p := range packages {
		// If a profile was applied to a package, the main package follows its path in
		// brackets.
		prefix, _, _ := strings.Cut(p.ImportPath, " ")
		versioned := false
		if p.Module != nil {
			v := p.Module.version()
			if versioned = v.Version != ""; versioned {
				prefix = v.Path + "@" + v.Version + strings.TrimPrefix(prefix, p.Module.Path)
			}
		}
		for _, file := range p.files() {
			if err := add(prefix+"/"+filepath.ToSlash(file), filepath.Join(p.Dir, file), versioned); err != nil {
				return s, err
			}
		}
		optional := map[string]string{}
		if p.Name == "main" {
			// Reference: https://go.dev/doc/pgo
			optional[prefix+"/default.pgo"] = filepath.Join(p.Dir, "default.pgo")
		}
		if p.Module != nil && !versioned && p.Module.GoMod != "" {
			optional[p.Module.Path+"/go.mod"] = p.Module.GoMod
			if p.Module.Main {
				optional[p.Module.Path+"/go.sum"] = filepath.Join(filepath.Dir(p.Module.GoMod), "go.sum")
			}
		}
		for name, file := range optional {
			if _, ok := s.Inputs[name]; ok {
				continue
			}
			if err := add(name, file, versioned); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return s, err
			}
		}
	}
	s.Own = slices.Sorted(maps.Keys(own))
	return s, nil
}

// files returns the package's files, relative to its folder.
func (p Package) files() []string {
	return slices.Concat(p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.MFiles, p.HFiles, p.FFiles,
		p.SFiles, p.SwigFiles, p.SwigCXXFiles, p.SysoFiles, p.EmbedFiles)
}

func goModules(sources []Package) []GoModule {
	var modules []GoModule
	for _, p := range sources {
		if p.Module == nil {
			continue
		}
		if m := p.Module.version(); !slices.Contains(modules, m) {
			modules = append(modules, m)
		}
	}
	slices.SortFunc(modules, func(a, b GoModule) int { return strings.Compare(a.Path, b.Path) })
	return modules
}
