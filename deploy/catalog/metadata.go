package catalog

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// Metadata is the content of a filter.yaml.
type Metadata struct {
	// Title is the filter's name for people. Required.
	Title string `yaml:"title"`
	// Description says in one sentence what the filter does. Required.
	Description string `yaml:"description"`
	// License is the SPDX expression of the filter's license. Required.
	License string `yaml:"license"`
	// Example is a plugin configuration to try the filter with: an object, which the filter
	// gets as JSON, or a string, which it gets unchanged. Default: no configuration.
	Example any `yaml:"example"`
	// Apply says where and how the filter runs in a mesh. Default: nil. Then the filter can be
	// built and published, but no manifests are rendered for it.
	Apply *Apply `yaml:"apply"`
}

// ReadMetadata reads and checks a filter.yaml. An error names the file and the line. For an
// unknown field it also names the known field that is nearest to it.
func ReadMetadata(path string) (Metadata, error) {
	data, err := os.ReadFile(path)
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
	if !utf8.Valid(data) {
		return Metadata{}, errors.New("not UTF-8; save the file in that encoding")
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return Metadata{}, syntaxError(err)
	}
	if len(file.Docs) > 1 {
		return Metadata{}, errors.New("more than one YAML document; keep one")
	}
	var m Metadata
	if len(file.Docs) == 1 && file.Docs[0].Body != nil {
		root := file.Docs[0].Body
		if err := checkNode(root, reflect.TypeFor[Metadata](), ""); err != nil {
			return Metadata{}, err
		}
		if err := yaml.NodeToValue(root, &m, yaml.Strict()); err != nil {
			return Metadata{}, syntaxError(err)
		}
		if m.Apply != nil {
			if err := m.Apply.Check(); err != nil {
				return Metadata{}, locate(root, err)
			}
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
