package scaffold

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/semver"

	"github.com/slipway-wasm/slipway/deploy/internal/gorun"
)

//go:embed all:repository
var repositories embed.FS

const workflowFile = ".github/workflows/release.yml"

// RepositoryOptions say what repository to start. Name and Module are required.
type RepositoryOptions struct {
	// Name is the name of the first filter: see NewOptions.
	Name string
	// Module is the path of the repository's Go module: github.com/OWNER/NAME.
	Module string
	// Version is the version of Slipway that it requires, such as "v1.4.0". Default: the
	// newest that the module proxy has.
	Version string
	// Dir is the folder. It may hold files, but none of those that are written. Default: ".".
	Dir string
}

// ErrModule says that RepositoryOptions.Module has another form.
var ErrModule = errors.New("write github.com/OWNER/NAME")

var moduleForm = regexp.MustCompile(`^github\.com/([A-Za-z0-9-]+/[A-Za-z0-9._-]+)$`)

// NewRepository starts a repository that builds, tests and releases one new filter: its two Go
// modules with their sums, the magefile, .gitignore and the workflow that releases it from
// GitHub Actions. The go command fetches what they require. NewRepository returns the files,
// sorted. If it fails, it leaves none of them. If one is there already, the error is ErrExists.
func NewRepository(ctx context.Context, opts RepositoryOptions) ([]string, error) {
	files, err := newRepository(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("new repository: %w", err)
	}
	return files, nil
}

func newRepository(ctx context.Context, opts RepositoryOptions) (files []string, err error) {
	name := moduleForm.FindStringSubmatch(opts.Module)
	if name == nil {
		return nil, fmt.Errorf("module %q: %w", opts.Module, ErrModule)
	}
	if opts.Dir == "" {
		opts.Dir = "."
	}
	for _, part := range []string{"go.mod", "go.sum", "magefile.go", ".gitignore", "filter", workflowFile} {
		if _, err := os.Lstat(filepath.Join(opts.Dir, filepath.FromSlash(part))); err == nil {
			return nil, fmt.Errorf("%s %w; start in another folder, or remove it", filepath.Join(opts.Dir, part), ErrExists)
		}
	}
	work, err := os.MkdirTemp(opts.Dir, ".new-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if opts.Version == "" {
		if opts.Version, err = gorun.Output(ctx, work, "list", "-m", "-f={{.Version}}", gorun.Slipway+"@latest"); err != nil {
			return nil, fmt.Errorf("find the newest version of Slipway: %w", err)
		}
		opts.Version = strings.TrimSpace(opts.Version)
	}
	if !semver.IsValid(opts.Version) {
		return nil, fmt.Errorf("version %q of Slipway: it is a tag such as v1.4.0", opts.Version)
	}
	if err := writeRepository(work, repositoryData{opts.Module, name[1], opts.Version}); err != nil {
		return nil, err
	}
	if _, err := New(NewOptions{Name: opts.Name, Dir: filepath.Join(work, "filter")}); err != nil {
		return nil, err
	}
	for _, module := range []string{"filter", "."} {
		if _, err := gorun.Output(ctx, filepath.Join(work, module), "mod", "tidy"); err != nil {
			return nil, fmt.Errorf("fetch what it requires: %w", err)
		}
	}
	return move(work, opts.Dir)
}

// Workflow is the workflow that releases a repository, such as "acme/filters", from GitHub
// Actions, with a version of Slipway.
func Workflow(repository, version string) ([]byte, error) {
	return fill(path.Join("repository", workflowFile+".tmpl"), repositoryData{Repository: repository, Version: version})
}

// repositoryData is what the files of a repository depend on.
type repositoryData struct{ Module, Repository, Version string }

// Registry is the repository in GHCR, which takes no upper-case letters.
func (d repositoryData) Registry() string { return strings.ToLower(d.Repository) }

// fill fills in one file. GitHub's expressions have the usual delimiters.
func fill(from string, data repositoryData) ([]byte, error) {
	parsed, err := template.New(path.Base(from)).Delims("<<", ">>").ParseFS(repositories, from)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, data)
	return text.Bytes(), err
}

func writeRepository(dir string, data repositoryData) error {
	return fs.WalkDir(repositories, "repository", func(from string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fill(from, data)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(strings.TrimSuffix(strings.TrimPrefix(from, "repository/"), ".tmpl")))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o644)
	})
}

// move moves every file from one folder to another, and removes those that it moved if one
// cannot be.
func move(from, to string) (files []string, err error) {
	defer func() {
		if err != nil {
			for _, file := range files {
				err = errors.Join(err, os.Remove(file))
			}
			files = nil
		}
	}()
	err = filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		// A link does not replace a file that appeared meanwhile.
		if err := os.Link(file, target); err != nil {
			return err
		}
		files = append(files, target)
		return nil
	})
	slices.Sort(files)
	return files, err
}
