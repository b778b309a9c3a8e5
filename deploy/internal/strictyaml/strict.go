package strictyaml

import (
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// checkNode compares a YAML value with the type that it is read into. A decoder alone knows no
// lines, and of an unknown field it says only that it is unknown.
func checkNode(node ast.Node, t reflect.Type, field string) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return At(node, "anchors, aliases and tags are not read here; write the value itself")
	}
	if union, ok := newUnion(t); ok {
		keys, mapping := keysOf(node)
		opener, opens := union.(Opener)
		if opens && (!mapping || opener.Opens(keys)) {
			return checkNode(node, nil, field)
		}
		if !mapping {
			return checkShort(node, union, field)
		}
	}
	switch n := node.(type) {
	case *ast.MappingValueNode:
		return checkMapping(n, []*ast.MappingValueNode{n}, t, field)
	case *ast.MappingNode:
		return checkMapping(n, n.Values, t, field)
	case *ast.SequenceNode:
		var element reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			element = t.Elem()
		} else if !open(t) {
			return At(node, "%s is a list; write %s", orFile(field), form(t))
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
		return At(node, "%s: %w", orFile(field), err)
	}
	if value == nil || open(t) {
		return nil
	}
	_, isString := value.(string)
	switch kind := t.Kind(); {
	case kind == reflect.String && !isString:
		return At(node, "%s: %s is no text; write it in quotes", orFile(field), text)
	case kind == reflect.Int64 && (!plain || !coreInteger.MatchString(text)):
		return At(node, "%s: %s is no whole number", orFile(field), text)
	case kind == reflect.Float64 && !isNumber(value):
		return At(node, "%s: %s is no number", orFile(field), text)
	case kind == reflect.Bool && value != true && value != false:
		return At(node, "%s: %s is neither true nor false", orFile(field), text)
	case kind == reflect.Slice || kind == reflect.Map || kind == reflect.Struct:
		return At(node, "%s: %q is a single value; write %s", orFile(field), text, form(t))
	}
	return nil
}

func checkMapping(node ast.Node, values []*ast.MappingValueNode, t reflect.Type, field string) error {
	if !open(t) && t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return At(node, "%s has fields; write %s", orFile(field), form(t))
	}
	for _, value := range values {
		name := value.Key.GetToken().Value
		inner := reflect.Type(nil)
		switch {
		case value.Key.IsMergeKey():
			return At(value.Key, "anchors, aliases and tags are not read here; write the value itself")
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
				if near := Nearest(name, names); near != "" {
					problem += fmt.Sprintf("; did you mean %q?", near)
				}
				return At(value.Key, "%s", problem)
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
		if field.Anonymous {
			inner, innerTypes := fields(field.Type)
			names = append(names, inner...)
			maps.Copy(types, innerTypes)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		names = append(names, name)
		types[name] = field.Type
	}
	return names, types
}

func isNumber(value any) bool { _, ok := value.(float64); return ok }

// form says in words how to write a value of type t.
func form(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
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
