package conf

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParseObject compares with encoding/json, both ways: what is accepted here
// is accepted there with the same values, and what is accepted there is refused
// here only for one of the stricter rules that ParseObject documents.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		"", " \n", "{}", `{"a": "b"}`, `{"a": [1, -0.5e+3, true, false, null, {}, []], "b": {"c": "\u00e9\ud83d\ude00\n"}}`,
		`{"a": 1, "a": 2}`, `{"a": 01}`, `{"a": 1.}`, `{"a": -}`, `{"a": 1e}`, `{"a": "\ud83d"}`, `{"a": "\ud83d\ud83d\ude00"}`, `{"a": "\x"}`,
		`{"a": 1,}`, `{"a": [1,]}`, `{"a": 1} x`, `[1]`, `"a"`, `{"a": tru}`, `{"a": nulll}`, "{\"a\": \"\xff\"}", "{\"a\": \"\x01\"}",
		"\xef\xbb\xbf{}", "{\"a\": \"\ufffd\"}", `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "{}\x00",
		"{\r\n  \"response\": {\"add\": {\"x-my-custom-header\": \"hello world\"}}\r\n}\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseObject(data)
		want, theirErr := decode(data)
		if err == nil {
			got := objectOf(o.fields)
			if blank(data) {
				want, theirErr = map[string]any{}, nil
			}
			if theirErr != nil {
				t.Fatalf("encoding/json refuses it: %v", theirErr)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got  %#v\nwant %#v", got, want)
			}
			return
		}
		checkMessage(t, err)
		if theirErr == nil && !stricter(data, want) {
			t.Fatalf("encoding/json accepts it: %v", err)
		}
	})
}

// FuzzRead reads arbitrary objects: no panic, and every error is one short line.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"name": "n", "on": false, "count": 3, "timeout": "5s", "hosts": ["a"], "headers": {"a": "1", "b": ["2"]}, "mode": "both", "which": "x", "inner": {"deep": {}}}`,
		`{"name": null}`, `{"on": 1}`, `{"count": 1e9}`, `{"timeout": "-9223372036854775808ns"}`, `{"hosts": [[]]}`, `{"headers": {"\n": null}}`,
		`{"mode": "\r"}`, `{"which": [1]}`, `{"inner": {"": ""}}`, `{"nam": 1}`, `{"` + strings.Repeat("name", 40) + `": 1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := read(string(data)); err != nil {
			checkMessage(t, err)
		}
	})
}

// checkMessage requires one printable line, short enough for a log.
func checkMessage(t *testing.T, err error) {
	t.Helper()
	m := err.Error()
	if m == "" || len(m) > 1024 || !utf8.ValidString(m) {
		t.Fatalf("message of %d bytes: %q", len(m), m)
	}
	for _, r := range m {
		if r < ' ' || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			t.Fatalf("message with %q: %q", r, m)
		}
	}
}

func blank(data []byte) bool { return len(bytes.Trim(data, " \t\r\n")) == 0 }

// decode is encoding/json reading one object, numbers kept as written.
func decode(data []byte) (map[string]any, error) {
	if !json.Valid(data) {
		return nil, errors.New("not valid")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not an object")
	}
	return o, nil
}

// stricter reports whether one of ParseObject's own rules forbids the data, which
// is valid JSON.
func stricter(data []byte, v map[string]any) bool {
	// encoding/json turns half a surrogate pair into U+FFFD.
	return !utf8.Valid(data) || duplicateOrDeep(data) || holdsReplacement(v)
}

func holdsReplacement(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, utf8.RuneError)
	case []any:
		for _, e := range v {
			if holdsReplacement(e) {
				return true
			}
		}
	case map[string]any:
		for name, e := range v {
			if holdsReplacement(name) || holdsReplacement(e) {
				return true
			}
		}
	}
	return false
}

// duplicateOrDeep walks the tokens of valid JSON.
func duplicateOrDeep(data []byte) bool {
	type level struct {
		names map[string]bool // nil in an array
		value bool            // in an object: a value comes next
	}
	var stack []level
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err == io.EOF {
			return false
		}
		if err != nil {
			return true
		}
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if n := len(stack); n > 0 && stack[n-1].names != nil {
			top := &stack[n-1]
			if !top.value {
				name := token.(string)
				if top.names[name] {
					return true
				}
				top.names[name], top.value = true, true
				continue
			}
			top.value = false
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{names: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, level{})
		}
		if len(stack) > maxDepth {
			return true
		}
	}
}

// objectOf gives fields the form that encoding/json gives them.
func objectOf(fields []field) map[string]any {
	out := map[string]any{}
	for _, f := range fields {
		out[f.name] = anyOf(f.value)
	}
	return out
}

func anyOf(v value) any {
	switch v.kind {
	case kindNull:
		return nil
	case kindBool:
		return v.text == "true"
	case kindNumber:
		return json.Number(v.text)
	case kindString:
		return v.text
	case kindArray:
		out := []any{}
		for _, e := range v.items {
			out = append(out, anyOf(e))
		}
		return out
	default:
		return objectOf(v.fields)
	}
}
