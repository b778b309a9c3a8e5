package catalog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/regular"
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

// ReadMetadata reads and checks a filter.yaml. An error names the file and the line. For an
// unknown field it also names the known field that is nearest to it. It refuses what is no
// regular file, and a file that is larger or deeper than people write.
func ReadMetadata(path string) (Metadata, error) {
	data, err := regular.ReadFile(path, maxSize)
	if err != nil {
		return Metadata{}, fmt.Errorf("read filter metadata: %w", err)
	}
	m, err := parseMetadata(data)
	if err == nil {
		return m, nil
	}
	var placed *placedError
	if errors.As(err, &placed) && placed.line > 0 {
		return Metadata{}, fmt.Errorf("%s:%d: %w", path, placed.line, err)
	}
	return Metadata{}, fmt.Errorf("%s: %w", path, err)
}

func parseMetadata(data []byte) (Metadata, error) {
	var m Metadata
	root, err := decode(data, &m)
	if err != nil {
		return Metadata{}, err
	}
	m.Example = exact(m.Example)
	if m.Apply != nil {
		m.Apply.PluginConfig = exact(m.Apply.PluginConfig)
		if err := m.Apply.Check(); err != nil {
			return Metadata{}, locate(root, err)
		}
	}
	for _, field := range []struct{ name, value string }{
		{"title", m.Title}, {"description", m.Description}, {"license", m.License},
	} {
		if strings.TrimSpace(field.value) == "" {
			return Metadata{}, fmt.Errorf("%s is missing; add it", field.name)
		}
		// The value becomes an annotation and a table's cell, each on one line.
		if strings.ContainsAny(field.value, "\r\n\x00") {
			return Metadata{}, fmt.Errorf("%s has more than one line; write it on one", field.name)
		}
	}
	return m, nil
}
