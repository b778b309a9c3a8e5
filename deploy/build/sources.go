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

// ErrSourcesChanged says that the sources are no longer those that a module was built
// from. It is in the chain of what CheckSources returns.
var ErrSourcesChanged = errors.New("the sources changed since this was built")

// Package is one Go package that goes into a module, as "go list -json" has it.
type Package struct {
	ImportPath string
	Dir        string
	Name       string
	Standard   bool
	Module     *PackageModule

	// What a compiler or linker may read, without tests.
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

// version is what stands for the module's content. A folder has none: neither the
// filter's own module nor one that a folder replaces.
func (m *PackageModule) version() GoModule {
	switch {
	case m.Replace == nil:
		return GoModule{Path: m.Path, Version: m.Version}
	case m.Replace.Version != "":
		return GoModule{Path: m.Replace.Path, Version: m.Replace.Version}
	}
	// A folder's name is this machine's.
	return GoModule{Path: m.Path}
}

// lister lists the sources of filters with the go command of the Go release whose
// standard library is compiled in, whichever the compiler is. TinyGo lists them so as
// well, with its tags. So who has a record but not TinyGo lists the same.
type lister struct {
	toolchain Toolchain
	cache     string // see Options.Cache
}

// all lists the sources of the filters, by folder, with one command for all that lie
// side by side: the command takes longer to start than to list one more. What cannot be
// listed so is left out, and whoever asks for one finds out why.
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

// list lists the packages that go into the filter in each folder, in the order of the
// folders: its own and its dependencies', without the standard library. The folders lie
// in one folder and belong to one Go module.
func (l lister) list(ctx context.Context, dirs ...string) ([][]Package, error) {
	env := append(environment(l.toolchain.GoVersion, l.cache), platform...)
	args := []string{"list", "-deps", "-json=" + strings.Join(listedFields, ",")}
	if l.toolchain.Name == TinyGo {
		// TinyGo compiles what imports "C", and its standard library has packages that
		// Go's lacks: "machine", for example. To miss those is no error.
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

// listed is a package as "go list -json -deps" prints it.
type listed struct {
	Package
	Deps    []string // import paths of all that it imports, however far down
	DepOnly bool     // it was not asked for by name
}

// listedFields are the fields of listed. Without names the go command prints all of
// them, and takes longer: it also finds out what would have to be built.
var listedFields = []string{
	"ImportPath", "Dir", "Name", "Standard", "Module", "Deps", "DepOnly",
	"GoFiles", "CgoFiles", "CFiles", "CXXFiles", "MFiles", "HFiles", "FFiles",
	"SFiles", "SwigFiles", "SwigCXXFiles", "SysoFiles", "EmbedFiles",
}

// parseList reads what "go list -json -deps" printed of the filters in some folders.
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
	// Own are those of Go modules without a version, as absolute paths: the filter's own
	// module, and what folders replace. Only a commit can say what they are.
	Own []string

	paths map[string]string // of the files, by name
}

// ReadSources reads what each filter would be built from now with a toolchain, in the
// order of the filters. Of the toolchain it runs nothing but the go command, which
// fetches the Go release and the Go modules where they are not there.
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

// CheckSources makes sure that modules, as Load returned them, are made of what the
// filters' sources are now. It returns the sources that only a commit can vouch for: see
// Sources.Own. The error is ErrSourcesChanged, with the names of the files, or that of
// reading the sources.
//
// The files are listed anew, with the Go release and the build tags of the module's
// record, and not taken from the record: a file that was added counts as well. TinyGo
// need not be installed. So a job that publishes what another job built passes if it has
// the same sources.
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

// shown is how many files an error names: who drops an import drops many.
const shown = 5

// changed names the files that are not as some inputs say: as seen from the working
// directory, if they lie in it. Those that are there come first, the rest is counted.
func (s Sources) changed(inputs map[string]string) []string {
	folders := map[string]string{} // for files that are no longer there
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
	names := append(there, gone...)
	if more := len(names) - shown; more > 0 {
		names = append(names[:shown:shown], fmt.Sprintf("and %d more", more))
	}
	return names
}

// differentInputs are the names of the files that are not the same in both, sorted.
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

// readSources hashes the files of some packages, and the go.mod and go.sum that chose
// them: go.mod also says which Go the language and GODEBUG are of. All of go.mod counts,
// though a comment decides no byte: see RATIONALE.md.
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
		// What a profile was applied to has the main package after it, in brackets.
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

// files are the package's files, relative to its folder.
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
