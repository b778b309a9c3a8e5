package catalog

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// placedError is an error with its line.
type placedError struct {
	line int // starts at 1; 0: unknown
	err  error
}

func (e *placedError) Error() string { return e.err.Error() }
func (e *placedError) Unwrap() error { return e.err }

func at(node ast.Node, format string, args ...any) error {
	return &placedError{line: node.GetToken().Position.Line, err: fmt.Errorf(format, args...)}
}

// syntaxError extracts the line with the problem and its place from the YAML library's error,
// which also draws the source.
func syntaxError(err error) error {
	var place yaml.Error
	if errors.As(err, &place) && place.GetToken() != nil {
		return &placedError{line: place.GetToken().Position.Line, err: errors.New(place.GetMessage())}
	}
	return err
}

// locate adds the line to a mistake in the apply section.
func locate(root ast.Node, err error) error {
	var m *mistake
	if !errors.As(err, &m) {
		return err
	}
	builder := (&yaml.PathBuilder{}).Root().Child("apply")
	line := 0
	// Look for the innermost place that exists. A missing value is reported at its parent.
	for i := 0; ; i++ {
		node, nodeErr := builder.Build().FilterNode(root)
		if nodeErr != nil || node == nil {
			break
		}
		line = node.GetToken().Position.Line
		if i == len(m.path) {
			break
		}
		switch step := m.path[i].(type) {
		case int:
			builder = builder.Index(uint(step))
		case string:
			builder = builder.Child(step)
		}
	}
	return &placedError{line: line, err: err}
}

// checkNode compares a YAML value with the type that it is read into. A decoder alone knows no
// lines, and of an unknown field it says only that it is unknown.
func checkNode(node ast.Node, t reflect.Type, field string) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch n := node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return at(node, "anchors, aliases and tags are not read here; write the value itself")
	case *ast.MappingValueNode:
		return checkMapping(n, []*ast.MappingValueNode{n}, t, field)
	case *ast.MappingNode:
		return checkMapping(n, n.Values, t, field)
	case *ast.SequenceNode:
		var element reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			element = t.Elem()
		} else if !open(t) {
			return at(node, "%s is a list; write %s", orFile(field), form(t))
		}
		for i, value := range n.Values {
			place := field
			if element == nil {
				place = fmt.Sprintf("%s[%d]", field, i)
			}
			if err := checkNode(value, element, place); err != nil {
				return err
			}
		}
		return nil
	}
	text, plain := scalar(node)
	value, err := any(text), error(nil)
	if plain {
		value, err = core(text)
	}
	if err != nil {
		return at(node, "%s: %w", orFile(field), err)
	}
	if value == nil || open(t) {
		return nil
	}
	_, isString := value.(string)
	switch kind := t.Kind(); {
	case kind == reflect.String && !isString:
		return at(node, "%s: %s is no text; write it in quotes", orFile(field), text)
	case kind == reflect.Int64 && !(plain && coreInteger.MatchString(text)):
		return at(node, "%s: %s is no whole number", orFile(field), text)
	case kind != reflect.String && kind != reflect.Int64:
		return at(node, "%s: %q is a single value; write %s", orFile(field), text, form(t))
	}
	return nil
}

func checkMapping(node ast.Node, values []*ast.MappingValueNode, t reflect.Type, field string) error {
	if !open(t) && t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return at(node, "%s has fields; write %s", orFile(field), form(t))
	}
	for _, value := range values {
		name := value.Key.GetToken().Value
		inner := reflect.Type(nil)
		switch {
		case value.Key.IsMergeKey():
			return at(value.Key, "anchors, aliases and tags are not read here; write the value itself")
		case open(t):
		case t.Kind() == reflect.Map:
			inner = t.Elem()
			if err := checkNode(value.Key, t.Key(), field+" key"); err != nil {
				return err
			}
		default:
			names, types := fields(t)
			if inner = types[name]; inner == nil {
				problem := fmt.Sprintf("unknown field %q", join(field, name))
				if near := nearest(name, names); near != "" {
					problem += fmt.Sprintf("; did you mean %q?", near)
				}
				return at(value.Key, "%s", problem)
			}
		}
		if err := checkNode(value.Value, inner, join(field, name)); err != nil {
			return err
		}
	}
	return nil
}

// open reports whether a value of type t may be anything.
func open(t reflect.Type) bool { return t == nil || t.Kind() == reflect.Interface }

// fields lists the names of t's fields, in order, and the types of the fields.
func fields(t reflect.Type) (names []string, types map[string]reflect.Type) {
	types = map[string]reflect.Type{}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
		types[name] = field.Type
	}
	return names, types
}

// form says in words how to write a value of type t.
func form(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	}
	return "key: value pairs"
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

func orFile(field string) string {
	if field == "" {
		return "the file"
	}
	return field
}
