package main

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestConfiguration(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, in string
		want     config
	}{
		{"none", "", config{countHeader: "hello", countMetric: "hello_header_counter", debugLog: true}},
		{"lines", "X-A = b\nx-a=C", config{
			response:    []change{{add, "x-a", "b"}, {add, "x-a", "C"}},
			countHeader: "hello", countMetric: "hello_header_counter", debugLog: true,
		}},
		{"JSON", `{
			"request": {"add": {"X-A": ["1", "2"]}, "set": {"X-B": ["3", "4"], "x-c": ""}, "remove": ["X-D", "x-e"]},
			"response": {"set": {"x-a": "1"}},
			"count": {"header": "X-Count", "metric": "Count_2xx"},
			"debug_log": false
		}`, config{
			request: []change{
				{remove, "x-d", ""}, {remove, "x-e", ""},
				{set, "x-b", "3"}, {add, "x-b", "4"}, {set, "x-c", ""},
				{add, "x-a", "1"}, {add, "x-a", "2"},
			},
			response:    []change{{set, "x-a", "1"}},
			countHeader: "x-count", countMetric: "Count_2xx",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseConfig([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tc.want)
			}
		})
	}
}

func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		// Lines.
		{"no equals sign", "\n# c\nx-a", `line 3: "x-a" has no "="; write it as name=value, or put a # before a comment`},
		{"colon", "x-a: b", `line 1: "x-a: b" has no "="; write it as name=value, or put a # before a comment`},
		{"no name", " = b", `line 1: the header name is empty; write a name such as x-my-header`},
		{"space in the name", "x a=b", `line 1: header name "x a" is not a token; use letters, digits and -`},
		{"pseudo header", "x-a=b\r\n:status=200", `line 2: header ":status" is a pseudo header, which only the proxy sets; change it in the proxy's route`},
		{"framing header", "Content-Length = 3", `line 1: header "Content-Length" frames the body, which is the proxy's work; leave it out`},
		{"control character", "x-a=b\x00c", `line 1: header "x-a": the header value holds a NUL character; remove it`},
		{"carriage return", "x-a=b\rx-c=d", `line 1: header "x-a": the header value holds a line break; write it on one line`},
		{"array", `["x-a"]`, `line 1: "[\"x-a\"]" has no "="; write it as name=value, or put a # before a comment`},
		// JSON.
		{"byte order mark", "\ufeff{}", `line 1, column 1: the configuration starts with a byte order mark; save it as UTF-8 without BOM`},
		{"byte order mark before lines", "\ufeffx-a=b", `line 1, column 1: the configuration starts with a byte order mark; save it as UTF-8 without BOM`},
		{"syntax", "\n{\n  \"request\": {\"set\": {\"x-a\": \"b\"}\n}", `line 4, column 2: unexpected end of the configuration after field "request"; put a comma or a closing }`},
		{"unknown field", `{"respons": {}}`, `unknown field "respons": did you mean "response"?`},
		{"unknown inner field", `{"request": {"append": {}}}`, `request: unknown field "append"; write "remove", "set" or "add", or remove it`},
		{"array for set", `{"request": {"set": ["x-a"]}}`, `request.set: want an object, got an array`},
		{"object for remove", `{"request": {"remove": {"x-a": ""}}}`, `request.remove: want an array, got an object`},
		{"string for remove", `{"request": {"remove": "x-a"}}`, `request.remove: want an array, got the string "x-a"`},
		{"number as value", `{"response": {"add": {"x-a": 5}}}`, `response.add.x-a: want a string or an array of strings, got 5; write "5"`},
		{"null", `{"response": null}`, `response: null is no value; write an object, or leave the field out for the default`},
		{"line break in a value", `{"response": {"add": {"x-a": "b\r\nset-cookie: c"}}}`, `response.add: header "x-a": the header value holds a line break; write it on one line`},
		{"line break in a name", `{"response": {"add": {"x-a\r\nset-cookie": "c"}}}`, `response.add: header name "x-a\x0d\x0aset-cookie" is not a token; use letters, digits and -`},
		{"space at the end", `{"request": {"set": {"x-a": "b "}}}`, `request.set: header "x-a": the header value starts or ends with white space; remove it`},
		{"pseudo header", `{"request": {"set": {":path": "/"}}}`, `request.set: header ":path" is a pseudo header, which only the proxy sets; change it in the proxy's route`},
		{"host", `{"request": {"set": {"Host": "a"}}}`, `request.set: header "Host" is the pseudo header :authority in the proxy; change it in the proxy's route`},
		{"hop-by-hop header removed", `{"request": {"remove": ["x-a", "Connection"]}}`, `request.remove: header "Connection" belongs to one connection (hop-by-hop), which is the proxy's work; leave it out`},
		{"removed twice", `{"request": {"remove": ["x-a", "X-A"]}}`, `request.remove: header "X-A" appears twice; keep one`},
		{"set and removed", `{"response": {"set": {"Server": "a"}, "remove": ["server"]}}`, `response.set: header "Server" is in remove too; keep one of the two`},
		{"set in two spellings", `{"response": {"set": {"x-a": "1", "X-A": "2"}}}`, `response.set: headers "x-a" and "X-A" are the same; keep one, with an array for several values`},
		{"added in two spellings", `{"response": {"add": {"x-a": ["1", "2"], "X-A": "3"}}}`, `response.add: headers "x-a" and "X-A" are the same; keep one, with an array for several values`},
		{"set twice", `{"response": {"set": {"x-a": "1", "x-a": "2"}}}`, `line 1, column 35: field "x-a" appears twice; keep one`},
		{"bad header to count", `{"count": {"header": ":path"}}`, `count.header: header ":path" is a pseudo header, which only the proxy sets; change it in the proxy's route`},
		{"no header to count", `{"count": {"header": ""}}`, `count.header: the header name is empty; write a name such as x-my-header`},
		{"no metric", `{"count": {"metric": ""}}`, `count.metric: "" is not a metric name; use letters, digits and _, and no digit first`},
		{"metric with a dash", `{"count": {"metric": "my-counter"}}`, `count.metric: "my-counter" is not a metric name; use letters, digits and _, and no digit first`},
		{"metric with a digit first", `{"count": {"metric": "2xx"}}`, `count.metric: "2xx" is not a metric name; use letters, digits and _, and no digit first`},
		{"debug log in quotes", `{"debug_log": "false"}`, `debug_log: want true or false without quotes, got the string "false"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseConfig([]byte(tc.in))
			if err == nil {
				t.Fatalf("accepted %q", tc.in)
			}
			if err.Error() != tc.want {
				t.Errorf("%q\ngot  %s\nwant %s", tc.in, err, tc.want)
			}
		})
	}
}

// FuzzConfig: no panic; an error is one line; what is accepted changes a message
// as configured and in no other way, as net/http writes it.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		"", " \n", "# comment\n\nx-a = b\r\nx-c=d=e", "x-a", "=", "x-a=\x00", "x-a=b\rc", "\ufeffx-a=b", ":path=/",
		"{}", "{", `{"request": {"set": {"x-my-custom-header": "hello world"}}}`,
		`{"request": {"remove": ["x-a"], "set": {"x-b": ["1", "2"]}, "add": {"x-c": "3"}}, "response": {"add": {"X-D": ""}}, "count": {"header": "Hello", "metric": "m_1"}, "debug_log": false}`,
		`{"response": {"add": {"x-a": "b\r\nset-cookie: c"}}}`, `{"request": {"set": {"host": "a"}}}`, `{"count": {"metric": "a b"}}`,
		`{"response": {"set": {"x-a": "1", "X-A": "2"}}}`, `{"respons": {}}`, `{"request": {"remove": ["te"], "set": null}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig(data)
		if err != nil {
			if m := err.Error(); m == "" || !utf8.ValidString(m) || strings.ContainsAny(m, "\r\n\x00") || len(m) > 1024 {
				t.Fatalf("message %q", m)
			}
			return
		}
		for _, change := range append(c.request, c.response...) {
			var b strings.Builder
			if err := (http.Header{change.name: {change.value}}).Write(&b); err != nil {
				t.Fatal(err)
			}
			if want := change.name + ": " + change.value + "\r\n"; b.String() != want {
				t.Fatalf("%v writes %q, want %q", change, b.String(), want)
			}
			switch {
			case change.name != strings.ToLower(change.name):
				t.Fatalf("%q is not in lower case", change.name)
			case http.CanonicalHeaderKey(change.name) == "Connection", http.CanonicalHeaderKey(change.name) == "Content-Length",
				http.CanonicalHeaderKey(change.name) == "Transfer-Encoding", http.CanonicalHeaderKey(change.name) == "Host":
				t.Fatalf("%q is the proxy's", change.name)
			}
		}
		if c.countHeader == "" || c.countMetric == "" {
			t.Fatalf("%+v", c)
		}
	})
}
