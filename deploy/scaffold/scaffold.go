// Package scaffold creates a new filter.
//
// It exists so that a new filter works from the beginning. Both compilers build it, it has
// tests for its source and for the module, and it can be published and rendered without
// further edits. Its author changes it step by step, and sees at each step whether it still
// works.
package scaffold

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

//go:embed template
var templates embed.FS

// NewOptions say what to create, and where. Name is required.
type NewOptions struct {
	// Name is the filter's name. catalog.CheckName has the rules.
	Name string
	// Dir is the folder that holds one folder for each filter. Default: "filter".
	Dir string
}

// taken are names that already have a meaning in a folder of Go packages or for Slipway.
var taken = map[string]string{
	"internal": "Go keeps folders of that name for packages that only their neighbours import",
	"vendor":   "Go keeps folders of that name for copies of modules",
	"testdata": "the go command passes over folders of that name",
	"gohost":   "it is the bridge to the ordinary Go compiler",
	"httpbin":  "it is what rendered manifests call the service to try filters on",
}

// ErrExists says that the name is taken in the folder.
var ErrExists = errors.New("exists already")

// New writes a new filter and returns its files, sorted. Either all files appear at once or,
// if it fails, none. The error says which rule a name breaks, or is ErrExists.
func New(opts NewOptions) ([]string, error) {
	files, err := write(opts)
	if err != nil {
		return nil, fmt.Errorf("new filter: %w", err)
	}
	return files, nil
}

func write(opts NewOptions) ([]string, error) {
	if err := catalog.CheckName(opts.Name); err != nil {
		return nil, err
	}
	if why, ok := taken[opts.Name]; ok {
		return nil, fmt.Errorf("filter name %q: it is taken: %s; choose another one", opts.Name, why)
	}
	opts.Dir = cmp.Or(opts.Dir, "filter")
	if _, err := os.Stat(filepath.Join(opts.Dir, "go.mod")); err != nil {
		return nil, fmt.Errorf("%s holds no Go module of filters; run this in the folder that holds %s, with its go.mod: %w", opts.Dir, filepath.Base(opts.Dir), err)
	}
	folder := filepath.Join(opts.Dir, opts.Name)
	if _, err := os.Lstat(folder); err == nil {
		return nil, fmt.Errorf("%s %w; choose another name, or remove it", folder, ErrExists)
	}
	// Catalog ignores folders that begin with a dot, and so does Go.
	work, err := os.MkdirTemp(opts.Dir, ".new-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	names, err := render(work, opts.Name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(work, 0o755); err != nil {
		return nil, err
	}
	if err := os.Rename(work, folder); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("%s %w", folder, ErrExists)
		}
		return nil, err
	}
	for i, name := range names {
		names[i] = filepath.Join(folder, name)
	}
	return names, nil
}

// render writes the files made from the templates to a folder, and returns their names.
func render(folder, name string) ([]string, error) {
	title := strings.ReplaceAll(name, "-", " ")
	data := struct{ Name, Title string }{name, strings.ToUpper(title[:1]) + title[1:]}
	var names []string
	err := fs.WalkDir(templates, "template", func(from string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		parsed, err := template.New(entry.Name()).ParseFS(templates, from)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := parsed.Execute(&text, data); err != nil {
			return err
		}
		file := filepath.FromSlash(strings.TrimSuffix(strings.TrimPrefix(from, "template/"), ".tmpl"))
		content := text.Bytes()
		if strings.HasSuffix(file, ".go") {
			// The length of a name moves columns, so the code is formatted again.
			if content, err = format.Source(content); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, file)), 0o755); err != nil {
			return err
		}
		names = append(names, file)
		return os.WriteFile(filepath.Join(folder, file), content, 0o644)
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}
