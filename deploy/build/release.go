package build

import (
	"context"
	"path/filepath"
	"time"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Release is one version of some filters, as they were built from one commit. It is read once,
// and passed to everything that publishes, signs or records it. The same release gives the
// same manifests, anywhere and at any time.
type Release struct {
	// Version is the version of all filters.
	Version version.Version
	// Revision is the commit that the filters were built from. If files differ from it,
	// "-dirty" follows.
	Revision string
	// Source is the URL of the sources; empty if they have none.
	Source string
	// Created is the commit's time. The time of the build or the push would make every digest
	// differ.
	Created time.Time
	// EnvoyTested is the lowest Envoy version that the filters were tested with;
	// empty if it is not known.
	EnvoyTested string
	// Filters are the filters. ReadRelease returns them sorted by name.
	Filters []Built
}

// Built is a filter and its built module.
type Built struct {
	catalog.Filter
	// Module is the wasm file and its record.
	Module Module
}

// ReleaseOptions say what to release.
type ReleaseOptions struct {
	// Version is the version. Required.
	Version version.Version
	// Filters are the filters' names. Default: all.
	Filters []string
	// Dist is the folder with the modules. Default: "dist".
	Dist string
	// EnvoyTested goes into the Release.
	EnvoyTested string
}

// ReadRelease reads the release of a version from the catalog, the modules in dist, and git.
// It refuses a module whose sources have changed since it was built, because all statements
// about the module are about the current sources: see CheckSources.
func ReadRelease(ctx context.Context, opts ReleaseOptions) (*Release, error) {
	filters, err := catalog.Load(catalog.LoadOptions{Names: opts.Filters})
	if err != nil {
		return nil, err
	}
	modules, err := Load(opts.Dist, catalog.NamesOf(filters))
	if err != nil {
		return nil, err
	}
	files, err := FilesOf(ctx, filters, modules)
	if err != nil {
		return nil, err
	}
	git, err := gitinfo.Read(ctx, "", files...)
	if err != nil {
		return nil, err
	}
	release := &Release{
		Version: opts.Version, Revision: git.Revision(), Source: git.Source, Created: git.Time, EnvoyTested: opts.EnvoyTested,
	}
	release.Add(filters, modules)
	return release, nil
}

// Add adds filters and their modules.
func (r *Release) Add(filters []catalog.Filter, modules []Module) {
	for i, f := range filters {
		r.Filters = append(r.Filters, Built{Filter: f, Module: modules[i]})
	}
}

// Names returns the filters' names.
func (r *Release) Names() []string {
	names := make([]string, len(r.Filters))
	for i, f := range r.Filters {
		names[i] = f.Module.Name
	}
	return names
}

// Modules returns the filters' modules.
func (r *Release) Modules() []Module {
	modules := make([]Module, len(r.Filters))
	for i, f := range r.Filters {
		modules[i] = f.Module
	}
	return modules
}

// FilesOf returns the files that decide what is published and that only a commit identifies:
// the modules' sources and the filters' metadata. The modules must have been built from these
// sources (CheckSources).
func FilesOf(ctx context.Context, filters []catalog.Filter, modules []Module) ([]string, error) {
	files, err := CheckSources(ctx, filters, modules)
	if err != nil {
		return nil, err
	}
	for _, f := range filters {
		files = append(files, filepath.Join(f.Dir, catalog.MetadataFile))
	}
	return files, nil
}
