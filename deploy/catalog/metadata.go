package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// Metadata is the content of a filter.yaml.
type Metadata struct {
	// Title is the filter's name for people. Required.
	Title string `yaml:"title"`
	// Description says in one sentence what the filter does. Required.
	Description string `yaml:"description"`
	// License is the SPDX expression of the filter's license. Required.
	License string `yaml:"license"`
	// Example is a plugin configuration to try the filter with: an object, which
	// reaches the filter as JSON, or a string, which reaches it as it is.
	// Default: no configuration.
	Example any `yaml:"example"`
}

// ReadMetadata reads and checks a filter.yaml. An error names the file, the line
// and, for a field that does not exist, the known name nearest to it.
func ReadMetadata(path string) (Metadata, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Metadata{}, fmt.Errorf("read filter metadata: %w", err)
	}
	var m Metadata
	decoder := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := decoder.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		return Metadata{}, decodeError(path, err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return Metadata{}, fmt.Errorf("%s: more than one YAML document; keep one", path)
	}
	for _, field := range []struct{ name, value string }{
		{"title", m.Title}, {"description", m.Description}, {"license", m.License},
	} {
		if strings.TrimSpace(field.value) == "" {
			return Metadata{}, fmt.Errorf("%s: %s is missing; add it", path, field.name)
		}
		// It becomes an annotation and a table's cell, one line each.
		if strings.ContainsAny(field.value, "\r\n\x00") {
			return Metadata{}, fmt.Errorf("%s: %s has more than one line; write it on one", path, field.name)
		}
	}
	return m, nil
}

// decodeError turns the YAML library's error into one line with the place.
func decodeError(path string, err error) error {
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		token := unknown.GetToken()
		problem := fmt.Sprintf("%s:%d: unknown field %q", path, token.Position.Line, token.Value)
		if near := nearest(token.Value, fieldNames(reflect.TypeFor[Metadata]())); near != "" {
			return fmt.Errorf("%s; did you mean %q?", problem, near)
		}
		return errors.New(problem)
	}
	var place yaml.Error
	if errors.As(err, &place) && place.GetToken() != nil {
		return fmt.Errorf("%s:%d: %s", path, place.GetToken().Position.Line, place.GetMessage())
	}
	return fmt.Errorf("%s: %w", path, err)
}

// fieldNames lists the YAML names of t's fields, those of nested structs too.
func fieldNames(t reflect.Type) []string {
	var names []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		names = append(names, name)
		inner := field.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			names = append(names, fieldNames(inner)...)
		}
	}
	return names
}

// nearest returns the known name that name was probably meant to be: the one
// with the smallest edit distance, if that is at most two
// or a third of its length.
func nearest(name string, known []string) string {
	best, bestDistance := "", len(name)
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if bestDistance > max(2, len(best)/3) {
		return ""
	}
	return best
}

// distance is the Levenshtein distance of a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
