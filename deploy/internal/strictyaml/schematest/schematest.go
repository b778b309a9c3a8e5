// Package schematest holds a JSON Schema to the type that a YAML file is read into.
package schematest

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slipway-wasm/slipway/deploy/internal/strictyaml"
)

// CompareFields reports each field that only one of the schema and the type has, each field
// without a description, which editors show, and each mapping of the schema that lets unknown
// fields pass. at names the place of both in messages.
func CompareFields(t *testing.T, at string, s *jsonschema.Schema, typ reflect.Type) {
	t.Helper()
	for s.Ref != nil {
		s = s.Ref
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if _, union := reflect.New(typ).Interface().(strictyaml.Union); union {
		i := slices.IndexFunc(s.AnyOf, func(s *jsonschema.Schema) bool { return s.Properties != nil })
		if i < 0 {
			return // its only form is the short one
		}
		s = s.AnyOf[i]
	}
	switch typ.Kind() {
	case reflect.Slice:
		if s.Items2020 == nil {
			t.Errorf("%s: the schema has no items", at)
			return
		}
		CompareFields(t, at+"[]", s.Items2020, typ.Elem())
	case reflect.Map:
		if inner, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
			CompareFields(t, at+".*", inner, typ.Elem())
		}
	case reflect.Struct:
		var fields []string
		for _, field := range reflect.VisibleFields(typ) {
			if field.Anonymous || field.Tag.Get("json") == "-" {
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			fields = append(fields, name)
			inner := s.Properties[name]
			if inner == nil {
				t.Errorf("%s.%s is not in the schema", at, name)
				continue
			}
			if inner.Description == "" {
				t.Errorf("%s.%s has no description, which an editor would show", at, name)
			}
			CompareFields(t, at+"."+name, inner, field.Type)
		}
		for name := range s.Properties {
			if !slices.Contains(fields, name) {
				t.Errorf("%s.%s is in the schema, and is not read", at, name)
			}
		}
		if s.AdditionalProperties != false {
			t.Errorf("%s: the schema lets unknown fields pass", at)
		}
	}
}

// Says returns the error that an editor with the schema shows for content, which is JSON.
func Says(s *jsonschema.Schema, content []byte) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(content)))
	if err != nil {
		return err
	}
	return s.Validate(value)
}
