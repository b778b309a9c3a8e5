package manifest

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// Request is what the program render reads from its standard input, as JSON.
type Request struct {
	// Filters and Releases belong together by the filter's name, one of each.
	Filters  []catalog.Filter
	Releases []Source
	// HTTPBinImage is the image of the httpbin to try filters on.
	HTTPBinImage string
	// Compare is a folder with manifests, as an absolute path, that the result is
	// compared with. Default: nothing is compared.
	Compare string
}

// Check reports what is missing, there twice or wrong.
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

// Release returns what was published of the filter of that name.
func (r Request) Release(filter string) (Source, error) {
	for _, release := range r.Releases {
		if release.Filter == filter {
			return release, nil
		}
	}
	return Source{}, fmt.Errorf("filter %s: no release was given; publish it first", filter)
}

// Response is what the program render writes to its standard output, as JSON.
type Response struct {
	// Files are what to write, sorted by Path.
	Files []File
	// Omitted is what could not be rendered, and why.
	Omitted []Omission
	// Diff tells people what is different from Request.Compare. Empty: nothing.
	Diff string
	// Error is why there is nothing else. Empty: all went well.
	Error string
}

// File is one rendered file.
type File struct {
	// Path is relative to the folder of all manifests, with slashes.
	Path    string
	Content string
}

// Omission is a form of a filter that its filter.yaml, or where it was published, rules
// out.
type Omission struct {
	// Filter is the filter's name, Form the folder or file that is not there.
	Filter, Form string
	// Reason is half a sentence, such as "it has no gateway context".
	Reason string
}
