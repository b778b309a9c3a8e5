package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/strictyaml"
)

// Folder is the folder with a filter's scenarios, in the filter's own.
const Folder = "scenarios"

// Load reads the scenarios of filters: the files scenarios/*.yaml in their folders. They are in
// the order of the filters, and then by their names. A filter may have none. Load refuses a
// file that could never fail, or never hold: the error has its path, line and column, and says
// what to write instead.
func Load(filters []catalog.Filter) ([]Scenario, error) {
	var all []Scenario
	var errs []error
	for _, filter := range filters {
		scenarios, err := loadFilter(filter)
		errs = append(errs, err)
		all = append(all, scenarios...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("read scenarios: %w", err)
	}
	return all, nil
}

func loadFilter(filter catalog.Filter) ([]Scenario, error) {
	dir := filepath.Join(filter.Dir, Folder)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var scenarios []Scenario
	var errs []error
	bench := ""
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch filepath.Ext(path) {
		case ".yaml":
		case ".yml":
			errs = append(errs, fmt.Errorf("%s: scenarios are named *.yaml; rename it", path))
			continue
		default:
			continue
		}
		s, err := Read(path, filter)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if s.Bench && bench != "" {
			errs = append(errs, fmt.Errorf("%s: bench: %s has it, too; a filter is measured with one scenario", path, bench))
		}
		if s.Bench {
			bench = path
		}
		scenarios = append(scenarios, s)
	}
	return scenarios, errors.Join(errs...)
}

// namePattern is what a scenario may be called: its name becomes part of an Envoy listener's
// and of a Kubernetes object's.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$`)

// Read reads and checks one scenario of a filter. See Load for its errors.
func Read(path string, filter catalog.Filter) (Scenario, error) {
	s := Scenario{Filter: filter.Name, File: path, Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))}
	if !namePattern.MatchString(s.Name) {
		return Scenario{}, fmt.Errorf("%s: %q is no name of a scenario; use lowercase letters, digits and hyphens, at most 48", path, s.Name)
	}
	if s.Name == ShippedName {
		return Scenario{}, fmt.Errorf("%s: every filter has a scenario of this name already, which starts it with what its manifests carry; choose another one", path)
	}
	if err := strictyaml.ReadFile(path, &s, func() error { return s.check(filter) }); err != nil {
		return Scenario{}, err
	}
	return s, nil
}
