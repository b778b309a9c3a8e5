package catalog

import (
	"fmt"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/strictyaml"
)

// Metadata is the content of a filter.yaml.
type Metadata struct {
	// Title is the filter's name for people. Required.
	Title string `json:"title"`
	// Description says in one sentence what the filter does. Required.
	Description string `json:"description"`
	// License is the SPDX expression of the filter's license. Required.
	License string `json:"license"`
	// Example is a plugin configuration to try the filter with: an object, which the filter
	// gets as JSON, or a string, which it gets unchanged. Default: no configuration.
	Example any `json:"example"`
	// Apply says where and how the filter runs in a mesh. Default: nil. Then the filter can be
	// built and published, but no manifests are rendered for it.
	Apply *Apply `json:"apply"`
}

// ReadMetadata reads and checks a filter.yaml. An error names the file, line and column. For an
// unknown field it also names the known field that is nearest to it. It refuses what is no
// regular file, and a file that is larger or deeper than people write.
func ReadMetadata(path string) (Metadata, error) {
	var m Metadata
	if err := strictyaml.ReadFile(path, &m, m.check); err != nil {
		return Metadata{}, err
	}
	return m, nil
}

// check makes Go's numbers of those that were read, and reports the first mistake.
func (m *Metadata) check() error {
	m.Example = strictyaml.Exact(m.Example)
	if m.Apply != nil {
		m.Apply.PluginConfig = strictyaml.Exact(m.Apply.PluginConfig)
		if err := m.Apply.Check(); err != nil {
			return err
		}
	}
	for _, field := range []struct{ name, value string }{
		{"title", m.Title}, {"description", m.Description}, {"license", m.License},
	} {
		if strings.TrimSpace(field.value) == "" {
			return fmt.Errorf("%s is missing; add it", field.name)
		}
		// The value becomes an annotation and a table's cell, each on one line.
		if strings.ContainsAny(field.value, "\r\n\x00") {
			return fmt.Errorf("%s has more than one line; write it on one", field.name)
		}
	}
	return nil
}
