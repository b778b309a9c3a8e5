package pipeline

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/scaffold"
)

// compileTargets compiles Slipway's magefile, in a repository that requires Slipway as
// a module: in its own folder, mage leaves a file there for as long as it compiles.
func compileTargets(ctx context.Context, root, dir string) (binary string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := copyFiles(dir, root, "magefile.go", "go.mod", "go.sum"); err != nil {
		return "", err
	}
	if err := requireFolder(ctx, dir, "example.com/acme/filters", slipway, root); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "mage.bin")
	_, err = execute(ctx, dir, environment(), "go", "tool", "mage", "-compile", binary)
	return binary, err
}

// slipway is the path of Slipway's module. The one of its filters is below.
const slipway = "github.com/slipway-wasm/slipway"

// requireFolder turns a copy of a module's go.mod into the go.mod of another module,
// which requires the first one from a folder.
func requireFolder(ctx context.Context, dir, module, required, folder string) error {
	_, err := execute(ctx, dir, environment(), "go", "mod", "edit", "-module="+module, "-require="+required+"@v0.0.0", "-replace="+required+"="+folder)
	return err
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
func newProject(ctx context.Context, root, dir string, filters int) (*project, error) {
	p := &project{dir: dir}
	folder := filepath.Join(dir, "filter")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	shared := filepath.Join(root, "filter")
	if err := copyFiles(folder, shared, "go.mod", "go.sum"); err != nil {
		return nil, err
	}
	// The copy is in the repository, because otherwise the commit would not say what
	// the filters are made of. It is in testdata, because the go command looks for no
	// tests there.
	if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS(shared)); err != nil {
		return nil, err
	}
	if err := requireFolder(ctx, folder, "example.com/acme/filters/filter", slipway+"/filter", "../testdata"); err != nil {
		return nil, err
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
