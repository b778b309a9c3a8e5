package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/gorun"
	"github.com/slipway-wasm/slipway/deploy/scaffold"
)

// magefile is what a repository needs to have Slipway's targets.
const magefile = `//go:build mage

package main

import (
	//mage:import
	_ "github.com/slipway-wasm/slipway/deploy/targets"
)
`

// compileTargets compiles the targets as another repository has them.
func compileTargets(ctx context.Context, dir string) (binary string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "magefile.go"), []byte(magefile), 0o644); err != nil {
		return "", err
	}
	if _, err := requireModule(ctx, dir, "example.com/acme/filters", ".", ""); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "mage.bin")
	_, err = execute(ctx, dir, environment(), "go", "tool", "mage", "-compile", binary)
	return binary, err
}

// requireModule writes the go.mod of a module in dir that requires one of Slipway's. If that
// is read from a folder, and not from an archive, requireModule returns the folder, and the
// go.mod replaces the module by copied or, if that is empty, by the folder.
func requireModule(ctx context.Context, dir, module, below, copied string) (source string, err error) {
	folder, err := gorun.Folder(ctx, below)
	if err != nil {
		return "", err
	}
	if err := copyFiles(dir, folder, "go.mod", "go.sum"); err != nil {
		return "", err
	}
	edit := []string{"mod", "edit", "-module=" + module}
	if source, err = gorun.Source(ctx, below); err != nil {
		return "", err
	}
	if source != folder {
		source = "" // the archive, which the copied go.mod requires
	} else {
		required := path.Join(gorun.Slipway, below)
		edit = append(edit, "-require="+required+"@v0.0.0", "-replace="+required+"="+cmp.Or(copied, source))
	}
	_, err = execute(ctx, dir, environment(), "go", edit...)
	return source, err
}

func copyFiles(to, from string, names ...string) error {
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// project is a repository with filters.
type project struct {
	dir   string
	names []string
}

// newProject makes a repository with filters as "go tool mage new" writes them. Their
// names are new, so no cache can hold any of them.
func newProject(ctx context.Context, dir string, filters int) (*project, error) {
	p := &project{dir: dir}
	folder := filepath.Join(dir, "filter")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	// The copy is in the repository, because otherwise the commit would not say what
	// the filters are made of. It is in testdata, because the go command looks for no
	// tests there.
	source, err := requireModule(ctx, folder, "example.com/acme/filters/filter", "filter", "../testdata")
	if err != nil {
		return nil, err
	}
	if source != "" {
		if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS(source)); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("/dist/\n"), 0o644); err != nil {
		return nil, err
	}
	unique := strings.ToLower(rand.Text()[:8])
	for i := range filters {
		name := fmt.Sprintf("bench-%s-%03d", unique, i)
		if _, err := scaffold.New(scaffold.NewOptions{Name: name, Dir: folder}); err != nil {
			return nil, err
		}
		p.names = append(p.names, name)
	}
	if err := p.git(ctx, "init", "--quiet"); err != nil {
		return nil, err
	}
	return p, p.commit(ctx)
}

// commit commits everything.
func (p *project) commit(ctx context.Context) error {
	return errors.Join(p.git(ctx, "add", "."), p.git(ctx, "commit", "--quiet", "-m", "Filters"))
}

func (p *project) git(ctx context.Context, args ...string) error {
	identity := []string{"-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}
	cmd := exec.CommandContext(ctx, "git", append(identity, args...)...)
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// change changes what one filter does, and commits the change.
func (p *project) change(ctx context.Context) error {
	file := filepath.Join(p.dir, "filter", p.names[0], "main.go")
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const before, after = `": set "`, `": have set "`
	changed := bytes.Replace(source, []byte(before), []byte(after), 1)
	if bytes.Equal(changed, source) {
		return fmt.Errorf("change %s: there is no %s in it", file, before)
	}
	if err := os.WriteFile(file, changed, 0o644); err != nil {
		return err
	}
	return p.commit(ctx)
}

func (p *project) dist() string { return filepath.Join(p.dir, "dist") }

// compiler is what built the filters.
func (p *project) compiler() (build.Toolchain, error) {
	modules, err := build.Load(p.dist(), p.names)
	if err != nil {
		return build.Toolchain{}, err
	}
	return modules[0].Compiler, nil
}

// modules are the files of the modules that are built.
type modules map[string]os.FileInfo

func (p *project) modules() modules {
	files := modules{}
	for _, name := range p.names {
		if info, err := os.Stat(filepath.Join(p.dist(), name+".wasm")); err == nil {
			files[name] = info
		}
	}
	return files
}

// newSince counts the modules that were written since before. Each appears as a new
// file.
func (m modules) newSince(before modules) int {
	n := 0
	for name, info := range m {
		if old, ok := before[name]; !ok || !os.SameFile(old, info) {
			n++
		}
	}
	return n
}
