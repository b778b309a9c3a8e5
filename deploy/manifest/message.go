package manifest

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// Request is the input of the program render: JSON on its standard input.
type Request struct {
	// Filters and Releases have one entry each for every filter, matched by its name.
	Filters  []catalog.Filter
	Releases []Source
	// HTTPBinImage is the image of the httpbin on which filters are tried.
	HTTPBinImage string
	// Compare is the absolute path of a folder with manifests. The result is compared with it.
	// Default: nothing is compared.
	Compare string
}

// Check reports what is missing, duplicate or wrong.
func (r Request) Check() error {
	if len(r.Filters) == 0 {
		return errors.New("no filters were given")
	}
	for i, f := range r.Filters {
		if f.Metadata.Apply == nil {
			return fmt.Errorf("%s: apply is missing; add the section, with at least failStrategy, to say where the filter runs", filepath.Join(f.Dir, catalog.MetadataFile))
		}
		if err := f.Metadata.Apply.Check(); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(f.Dir, catalog.MetadataFile), err)
		}
		if slices.ContainsFunc(r.Filters[:i], func(g catalog.Filter) bool { return g.Name == f.Name }) {
			return fmt.Errorf("filter %s was given twice", f.Name)
		}
		if _, err := r.Release(f.Name); err != nil {
			return err
		}
	}
	for i, release := range r.Releases {
		if err := release.Check(); err != nil {
			return err
		}
		if slices.ContainsFunc(r.Releases[:i], func(s Source) bool { return s.Filter == release.Filter }) {
			return fmt.Errorf("release %s was given twice", release.Filter)
		}
		if !slices.ContainsFunc(r.Filters, func(f catalog.Filter) bool { return f.Name == release.Filter }) {
			return fmt.Errorf("release %s %s: no filter of that name was given", release.Filter, release.Version)
		}
	}
	return nil
}

// Release returns the published facts of the filter with the given name.
func (r Request) Release(filter string) (Source, error) {
	for _, release := range r.Releases {
		if release.Filter == filter {
			return release, nil
		}
	}
	return Source{}, fmt.Errorf("filter %s: no release was given; publish it first", filter)
}

// Response is the output of the program render: JSON on its standard output.
type Response struct {
	// Files are the files to write, sorted by Path.
	Files []File
	// Omitted lists what could not be rendered, and why.
	Omitted []Omission
	// Diff describes for people the differences from Request.Compare; empty if there are none.
	Diff string
	// Error says why rendering failed; then the other fields are empty. Empty: it succeeded.
	Error string
}

// File is one rendered file.
type File struct {
	// Path is relative to the folder of all manifests, with slashes.
	Path    string
	Content string
}

// Omission is a form that a filter cannot have, because of its filter.yaml or of where it was
// published.
type Omission struct {
	// Filter is the filter's name. Form is the folder or file that is left out.
	Filter, Form string
	// Reason is half a sentence, such as "it has no gateway context".
	Reason string
}
