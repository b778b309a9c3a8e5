// Package catalog knows which filters a repository holds.
//
// It exists so that no other place lists them: a folder below filter/ with a filter.yaml is a
// filter. Everything that builds, tests, publishes or renders filters asks this package.
package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MetadataFile is the name of the file that makes a folder a filter.
const MetadataFile = "filter.yaml"

// Filter is one filter: a folder with a Go main package and its metadata.
type Filter struct {
	// Name is the folder's name. The module in dist/, the repository in a registry and the
	// objects in a cluster have the same name.
	Name string
	// Dir is the folder, as an absolute path.
	Dir string
	// Metadata is the content of filter.yaml.
	Metadata Metadata
}

// LoadOptions says where to look for filters, and which ones to load.
type LoadOptions struct {
	// Dir is the folder that holds one folder per filter. Default: "filter".
	Dir string
	// Names limits the result to these filters. Default: all.
	Names []string
}

// Names splits a list in an environment variable, such as the names of filters: they are
// separated by commas, and spaces around them are ignored. For an empty list, which means all
// filters, it returns nil.
func Names(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// NamesOf returns the names of the filters.
func NamesOf(filters []Filter) []string {
	names := make([]string, len(filters))
	for i, f := range filters {
		names[i] = f.Name
	}
	return names
}

// maxName leaves room for suffixes in a Kubernetes label, which has at most 63 characters.
const maxName = 40

// CheckName returns nil if name can name a filter, and otherwise an error with the rule that
// it breaks. The rules are the common part of those for a path component of an OCI repository
// and for the name of a Kubernetes object: lowercase letters, digits and hyphens, a letter
// first, no hyphen last, and at most 40 characters.
//
// References:
//   - https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
//   - https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#rfc-1035-label-names
func CheckName(name string) error {
	broken := ""
	switch {
	case name == "":
		broken = "it is empty; give one such as my-filter"
	case len(name) > maxName:
		broken = fmt.Sprintf("it has %d characters; use at most %d, so that names made of it stay within the 63 of a Kubernetes label", len(name), maxName)
	case strings.ToLower(name) != name:
		broken = "it has capital letters, which an OCI repository and a Kubernetes name may not have; write " + strings.ToLower(name)
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		broken = "it has other characters than a-z, 0-9 and hyphens, which are all that a Kubernetes name may have"
	case name[0] < 'a' || name[0] > 'z':
		broken = "it does not start with a letter, as a Kubernetes name must (RFC 1035)"
	case strings.HasSuffix(name, "-"):
		broken = "it ends with a hyphen, which an OCI repository and a Kubernetes name may not"
	default:
		return nil
	}
	return fmt.Errorf("filter name %q: %s", name, broken)
}

// Load returns the filters, sorted by name. A folder with neither main.go nor filter.yaml is
// not a filter, and is skipped. A folder with only one of the two is an error. So are a wanted
// name that does not exist, a symlink to a filter's folder, and a filter.yaml further below:
// Load never silently leaves out a folder that was meant to be a filter. It does not look into
// folders named testdata, internal or vendor, or whose names begin with a dot or an
// underscore.
func Load(opts LoadOptions) ([]Filter, error) {
	dir := cmp.Or(opts.Dir, "filter")
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find filters: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("find filters: %w; run this in the folder that holds %s", err, filepath.Base(dir))
	}
	var filters []Filter
	for _, entry := range entries {
		wanted := len(opts.Names) == 0 || slices.Contains(opts.Names, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") || !wanted {
			continue
		}
		folder := filepath.Join(dir, entry.Name())
		if err := checkPlace(folder, entry); err != nil {
			return nil, fmt.Errorf("find filters: %w", err)
		}
		if !entry.IsDir() {
			continue
		}
		isFilter, err := looksLikeFilter(folder)
		if err != nil {
			return nil, fmt.Errorf("find filters: %w", err)
		}
		if !isFilter {
			continue
		}
		f, err := load(folder)
		if err != nil {
			return nil, err
		}
		filters = append(filters, f)
	}
	for _, name := range opts.Names {
		if !slices.ContainsFunc(filters, func(f Filter) bool { return f.Name == name }) {
			return nil, fmt.Errorf("find filter %q: %s has no folder of that name with a %s", name, dir, MetadataFile)
		}
	}
	if len(filters) == 0 {
		return nil, fmt.Errorf("find filters: no folder in %s has a %s", dir, MetadataFile)
	}
	return filters, nil
}

// checkPlace refuses something that looks like a filter in a place where Load finds none.
func checkPlace(folder string, entry fs.DirEntry) error {
	if entry.Type()&fs.ModeSymlink != 0 {
		to, err := os.Stat(folder)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is a symlink that leads nowhere; remove it, or move the filter's folder here", folder)
		}
		if err != nil || !to.IsDir() {
			return err
		}
		isFilter, err := looksLikeFilter(folder)
		if err == nil && isFilter {
			err = fmt.Errorf("%s is a symlink, and git holds a symlink and not the files that a release is made from; move the filter's folder here", folder)
		}
		return err
	}
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || path == folder && !apart(entry.Name()):
			return err
		case entry.IsDir() && apart(entry.Name()):
			return fs.SkipDir
		case !entry.IsDir() && entry.Type()&fs.ModeSymlink == 0:
			return nil
		}
		// A symlink may lead to a file, which contains no filter.
		if _, err := os.Stat(filepath.Join(path, MetadataFile)); err != nil {
			return nil //nolint:nilerr // it is no filter
		}
		filters := filepath.Dir(folder)
		return fmt.Errorf("%s has a %s, and filters are in folders directly below %s; move it to %s, or into a folder testdata if it is no filter", path, MetadataFile, filters, filepath.Join(filters, filepath.Base(path)))
	})
}

// apart reports whether folders of that name never hold filters: those that the go command's
// "./..." leaves out, and those that other code may not import.
func apart(name string) bool {
	return name == "testdata" || name == "internal" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// looksLikeFilter reports whether a folder has both files of a filter. It refuses a folder
// with only one of them, which would otherwise be silently left out.
func looksLikeFilter(folder string) (bool, error) {
	hasMain, err := exists(filepath.Join(folder, "main.go"))
	if err != nil {
		return false, err
	}
	hasMetadata, err := exists(filepath.Join(folder, MetadataFile))
	if err != nil {
		return false, err
	}
	switch {
	case hasMain && !hasMetadata:
		return false, fmt.Errorf("%s has a main.go but no %s; write one with at least title, description and license", folder, MetadataFile)
	case hasMetadata && !hasMain:
		return false, fmt.Errorf("%s has a %s but no main.go", folder, MetadataFile)
	}
	return hasMain, nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func load(folder string) (Filter, error) {
	name := filepath.Base(folder)
	if err := CheckName(name); err != nil {
		return Filter{}, fmt.Errorf("%s: %w", folder, err)
	}
	metadata, err := ReadMetadata(filepath.Join(folder, MetadataFile))
	if err != nil {
		return Filter{}, err
	}
	return Filter{Name: name, Dir: folder, Metadata: metadata}, nil
}
