// Package strictyaml reads YAML files that people write, and says where a mistake is.
//
// A decoder alone knows no lines, and of an unknown field it says only that it is unknown. This
// package compares the file with the type that it is read into, and reports line, column and
// the mend.
package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/slipway-wasm/slipway/deploy/internal/regular"
)

// placedError is an error with its place.
type placedError struct {
	line, column int // both start at 1; 0: unknown
	err          error
}

func (e *placedError) Error() string { return e.err.Error() }
func (e *placedError) Unwrap() error { return e.err }

// At returns an error with the place of a node.
func At(node ast.Node, format string, args ...any) error {
	return placed(node, fmt.Errorf(format, args...))
}

func placed(node ast.Node, err error) error {
	position := node.GetToken().Position
	// The token of key: value pairs is a colon.
	switch n := node.(type) {
	case *ast.MappingValueNode:
		position = n.Key.GetToken().Position
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			position = n.Values[0].Key.GetToken().Position
		}
	}
	return &placedError{line: position.Line, column: position.Column, err: err}
}

// Mistake is an error in a value that was read.
type Mistake struct {
	// Path leads from the file to the value: names and indexes.
	Path []any
	// Text says what is wrong, and the mend.
	Text string
}

func (m *Mistake) Error() string {
	var b strings.Builder
	for i, step := range m.Path {
		switch s := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", s)
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			fmt.Fprintf(&b, "%s", s)
		}
	}
	if b.Len() == 0 {
		return m.Text
	}
	return b.String() + ": " + m.Text
}

// Wrong returns a Mistake at a path.
func Wrong(text string, path ...any) error { return &Mistake{Path: path, Text: text} }

// ReadFile reads a regular file into the struct that into points to, which has JSON names. Then
// it calls check, whose errors may be Mistakes. An error begins with the path and, where it is
// known, line and column. A file that is larger or deeper than people write is refused before
// it is parsed.
func ReadFile(path string, into any, check func() error) error {
	data, err := regular.ReadFile(path, maxSize)
	if err != nil {
		return err
	}
	root, err := decode(data, into)
	if err == nil {
		err = locate(root, check())
	}
	if err == nil {
		return nil
	}
	var place *placedError
	if errors.As(err, &place) && place.line > 0 {
		return fmt.Errorf("%s:%d:%d: %w", path, place.line, place.column, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// syntaxError extracts the place of the problem from the YAML library's error, which also draws
// the source.
func syntaxError(err error) error {
	var place yaml.Error
	if errors.As(err, &place) && place.GetToken() != nil {
		position := place.GetToken().Position
		return &placedError{line: position.Line, column: position.Column, err: errors.New(place.GetMessage())}
	}
	return err
}

// locate adds the place to a mistake.
func locate(root ast.Node, err error) error {
	var m *Mistake
	if root == nil || !errors.As(err, &m) {
		return err
	}
	node := root
	for _, step := range m.Path {
		// The innermost place that exists. A missing value is reported at its parent.
		inner := child(node, step)
		if inner == nil {
			break
		}
		node = inner
	}
	return placed(node, err)
}

// child returns the value of a field or an item, or nil.
func child(node ast.Node, step any) ast.Node {
	var pairs []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.SequenceNode:
		if i, ok := step.(int); ok && i < len(n.Values) {
			return n.Values[i]
		}
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	case *ast.MappingNode:
		pairs = n.Values
	}
	for _, pair := range pairs {
		if key, _ := scalar(pair.Key); key == step {
			return pair.Value
		}
	}
	return nil
}

// Union is a type with two forms: a mapping with the fields of the struct, or a short form. Its
// UnmarshalJSON calls UnmarshalUnion.
type Union interface {
	// SetShort reads the short form, which is nil, a bool, a text, a number (uint64, int64 below
	// zero, or float64), or a list of these.
	SetShort(value any) error
}

// Opener is a Union whose short form may be a mapping, too.
type Opener interface {
	Union
	// Opens reports whether a mapping with these keys is the short form.
	Opens(keys []string) bool
}

// newUnion returns a new value of type t, if it is a Union.
func newUnion(t reflect.Type) (Union, bool) {
	if open(t) {
		return nil, false
	}
	union, ok := reflect.New(t).Interface().(Union)
	return union, ok
}

// keysOf returns the keys of a mapping.
func keysOf(node ast.Node) (keys []string, mapping bool) {
	switch n := node.(type) {
	case *ast.MappingValueNode:
		key, _ := scalar(n.Key)
		return []string{key}, true
	case *ast.MappingNode:
		for _, pair := range n.Values {
			key, _ := scalar(pair.Key)
			keys = append(keys, key)
		}
		return keys, true
	}
	return nil, false
}

// checkShort checks a value that is the short form of a union.
func checkShort(node ast.Node, union Union, field string) error {
	if err := checkNode(node, nil, field); err != nil {
		return err
	}
	value, err := shortValue(node)
	if err == nil {
		err = union.SetShort(value)
	}
	if err != nil {
		return At(node, "%s: %w", field, err)
	}
	return nil
}

// shortValue returns a single value or a list.
func shortValue(node ast.Node) (any, error) {
	if list, ok := node.(*ast.SequenceNode); ok {
		values := []any{}
		for _, item := range list.Values {
			value, err := shortValue(item)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
		return values, nil
	}
	if _, mapping := keysOf(node); mapping {
		return nil, errors.New("has fields; write a single value")
	}
	text, plain := scalar(node)
	if !plain {
		return text, nil
	}
	value, err := core(text)
	if _, number := value.(float64); number && coreInteger.MatchString(text) {
		return Exact(json.Number(strings.TrimPrefix(text, "+"))), err
	}
	return value, err
}

// UnmarshalUnion reads JSON into a Union. fields is the same value as a type without
// UnmarshalJSON.
func UnmarshalUnion(data []byte, union Union, fields any) error {
	if bytes.HasPrefix(data, []byte("{")) {
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(data, &keys); err != nil {
			return err
		}
		if opener, ok := union.(Opener); !ok || !opener.Opens(slices.Collect(maps.Keys(keys))) {
			return decodeJSON(data, fields)
		}
	}
	var value any
	if err := decodeJSON(data, &value); err != nil {
		return err
	}
	return union.SetShort(Exact(value))
}

// Text returns a value that is a text. Anything else has to be quoted.
func Text(value any) (string, error) {
	text, ok := value.(string)
	switch {
	case value == nil:
		return "", errors.New(`a value is missing; write a text, "" for an empty one`)
	case !ok:
		return "", fmt.Errorf("%v is no text; write it in quotes", value)
	}
	return text, nil
}
