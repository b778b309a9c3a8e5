package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
	"sigs.k8s.io/yaml"
)

// decode reads a YAML document into a struct with JSON names. It returns the tree with the
// lines; nil for an empty document.
//
// The values are those of the reader that kubectl has. It knows no lines, and it reads YAML
// 1.1, where yes is true. So a second reader finds the lines, and decode refuses each value
// that the core schema of YAML 1.2, which editors read, makes something else of.
func decode(data []byte, into any) (ast.Node, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8; save the file in that encoding")
	}
	if err := checkLimits(data); err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes(plainLines(data), 0)
	if err != nil {
		return nil, syntaxError(err)
	}
	if len(file.Docs) > 1 {
		return nil, errors.New("more than one YAML document; keep one")
	}
	var root ast.Node
	if len(file.Docs) == 1 {
		root = file.Docs[0].Body
	}
	if root != nil {
		if err := checkNode(root, reflect.TypeOf(into), ""); err != nil {
			return nil, err
		}
	}
	text, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, kubernetesError(err)
	}
	var value any
	if err := decodeJSON(text, &value); err != nil {
		return nil, err
	}
	if root == nil {
		if value != nil {
			return nil, errors.New("two YAML readers differ about whether it is empty; write plain key: value lines")
		}
		return nil, nil
	}
	if err := compareNode(root, value, ""); err != nil {
		return nil, err
	}
	return root, decodeJSON(text, into)
}

// plainLines drops a byte order mark and ends each line with a line feed, as YAML readers are
// to do. The library that finds the lines does neither.
//
// Reference: https://yaml.org/spec/1.2.2/#54-line-break-characters
func plainLines(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
}

// decodeJSON keeps the digits of numbers.
func decodeJSON(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// kubernetesLine matches the line in an error of Kubernetes' YAML reader.
var kubernetesLine = regexp.MustCompile(`line ([0-9]+): (.*)`)

func kubernetesError(err error) error {
	if found := kubernetesLine.FindStringSubmatch(err.Error()); found != nil {
		line, _ := strconv.Atoi(found[1])
		return &placedError{line: line, column: 1, err: fmt.Errorf("the YAML reader of Kubernetes refuses it: %s", found[2])}
	}
	return fmt.Errorf("the YAML reader of Kubernetes refuses it: %w", err)
}

// scalar returns the text of a single value, and whether it is written without quotes.
func scalar(node ast.Node) (text string, plain bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, n.GetToken().Type == token.StringType
	case *ast.LiteralNode:
		return n.Value.Value, false
	}
	return node.GetToken().Value, true
}

// The core schema of YAML 1.2.
//
// Reference: https://yaml.org/spec/1.2.2/#1032-tag-resolution
var (
	coreNull    = regexp.MustCompile(`^(null|Null|NULL|~|)$`)
	coreBool    = regexp.MustCompile(`^(true|True|TRUE|false|False|FALSE)$`)
	coreInteger = regexp.MustCompile(`^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$`)
	coreFloat   = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	coreNoJSON  = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

// core returns what the core schema makes of an unquoted text: nil, a bool, a float64, or the
// text itself. An error says that a number has no form in JSON.
func core(text string) (any, error) {
	switch {
	case coreNull.MatchString(text):
		return nil, nil
	case coreBool.MatchString(text):
		return strings.EqualFold(text, "true"), nil
	case coreNoJSON.MatchString(text):
		return nil, fmt.Errorf("%s has no form in JSON; write a number, or a text in quotes", text)
	}
	var number float64
	var err error
	switch {
	case coreInteger.MatchString(text) && strings.HasPrefix(text, "0") && len(text) > 1 && text[1] > '9':
		var whole uint64
		whole, err = strconv.ParseUint(text, 0, 64)
		number = float64(whole)
	case coreInteger.MatchString(text), coreFloat.MatchString(text):
		number, err = strconv.ParseFloat(text, 64)
		if coreInteger.MatchString(text) && math.Abs(number) >= 1<<64 {
			err = strconv.ErrRange
		}
	default:
		return text, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s is too large for a number; write it in quotes", text)
	}
	return number, nil
}

// compareNode refuses a value of which Kubernetes' reader makes something else than YAML 1.2.
func compareNode(node ast.Node, value any, field string) error {
	switch n := node.(type) {
	case *ast.MappingValueNode:
		return compareMapping(n, []*ast.MappingValueNode{n}, value, field)
	case *ast.MappingNode:
		return compareMapping(n, n.Values, value, field)
	case *ast.SequenceNode:
		items, ok := value.([]any)
		if !ok || len(items) != len(n.Values) {
			return differs(n, field, value, "a list")
		}
		for i, item := range n.Values {
			if err := compareNode(item, items[i], fmt.Sprintf("%s[%d]", field, i)); err != nil {
				return err
			}
		}
		return nil
	}
	text, plain := scalar(node)
	ours := any(text)
	if plain {
		ours, _ = core(text) // checkNode refused the errors
	}
	theirs := value
	if number, ok := value.(json.Number); ok {
		theirs, _ = number.Float64() // Kubernetes' reader had a float64 or an integer of 64 bits
	}
	if ours != theirs {
		return differs(node, field, value, describe(ours))
	}
	return nil
}

func compareMapping(node ast.Node, values []*ast.MappingValueNode, value any, field string) error {
	members, ok := value.(map[string]any)
	if !ok {
		return differs(node, field, value, "key: value pairs")
	}
	for _, pair := range values {
		key, _ := scalar(pair.Key)
		member, ok := members[key]
		if !ok {
			return At(pair.Key, "%s: the YAML reader of Kubernetes makes another key of %q; write the key in quotes", orFile(field), key)
		}
		if err := compareNode(pair.Value, member, join(field, key)); err != nil {
			return err
		}
	}
	if len(members) != len(values) {
		return differs(node, field, value, "other keys")
	}
	return nil
}

func differs(node ast.Node, field string, theirs any, ours string) error {
	return At(node, "%s: the YAML reader of Kubernetes makes %s of this, and YAML 1.2 makes %s of it; write the value that is meant, a text in quotes", orFile(field), describe(theirs), ours)
}

// describe says what a value is, for an error on one line.
func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return "the number " + strconv.FormatFloat(v, 'g', -1, 64)
	case json.Number:
		return "the number " + v.String()
	case string:
		if len(v) > 60 {
			return "a text"
		}
		return fmt.Sprintf("the text %q", v)
	case []any:
		return "a list"
	}
	return "key: value pairs"
}

// Exact turns the numbers of a value into Go's: uint64, int64 below zero, or float64.
func Exact(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return n
		}
		if n, err := v.Int64(); err == nil {
			return n
		}
		n, _ := v.Float64() // it was one when it was written
		return n
	case []any:
		for i := range v {
			v[i] = Exact(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = Exact(v[key])
		}
	}
	return value
}
