package conf

import (
	"reflect"
	"testing"
	"time"
)

// settings has one field for each method of Object.
type settings struct {
	Name    string
	On      bool
	Count   int
	Timeout time.Duration
	Hosts   []string
	Headers []Pair
	Mode    string
	Which   string
	Some    []string
	Inner   string
	Deepest string
}

func defaults() settings {
	return settings{
		Name: "default", On: true, Count: 7, Timeout: time.Minute, Hosts: []string{"h"},
		Headers: []Pair{{"accept", "*/*"}}, Mode: "response", Which: "all", Inner: "i", Deepest: "d",
	}
}

func read(in string) (settings, error) {
	s := defaults()
	o, err := ParseObject([]byte(in))
	if err != nil {
		return s, err
	}
	o.String("name", &s.Name)
	o.Bool("on", &s.On)
	o.Int("count", &s.Count, -3, 10)
	o.Duration("timeout", &s.Timeout, 100*time.Millisecond, time.Hour)
	o.Strings("hosts", &s.Hosts)
	o.Pairs("headers", &s.Headers)
	o.OneOf("mode", &s.Mode, "response", "request", "both")
	o.StringOrStrings("which", &s.Which, &s.Some)
	inner := o.Object("inner")
	inner.String("name", &s.Inner)
	inner.Object("deep").String("name", &s.Deepest)
	return s, o.Err()
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, in string
		want     func(*settings)
	}{
		{"absent fields keep the default", `{}`, func(*settings) {}},
		{"absent inner fields keep the default", `{"inner": {"deep": {}}}`, func(*settings) {}},
		{"every field", `{
			"name": "n", "on": false, "count": -3, "timeout": "1m30s", "hosts": ["a", "b"],
			"headers": {"b": "1", "a": ["2", "3"], "C": ""}, "mode": "both", "which": "none",
			"inner": {"name": "x", "deep": {"name": "y"}}
		}`, func(s *settings) {
			*s = settings{
				Name: "n", On: false, Count: -3, Timeout: 90 * time.Second, Hosts: []string{"a", "b"},
				Headers: []Pair{{"b", "1"}, {"a", "2"}, {"a", "3"}, {"C", ""}}, Mode: "both", Which: "none",
				Inner: "x", Deepest: "y",
			}
		}},
		{"true", `{"on": true}`, func(*settings) {}},
		{"greatest number", `{"count": 10}`, func(s *settings) { s.Count = 10 }},
		{"least duration", `{"timeout": "100ms"}`, func(s *settings) { s.Timeout = 100 * time.Millisecond }},
		{"greatest duration", `{"timeout": "60m"}`, func(s *settings) { s.Timeout = time.Hour }},
		{"empty lists", `{"hosts": [], "headers": {}}`, func(s *settings) { s.Hosts, s.Headers = []string{}, []Pair{} }},
		{"empty string", `{"name": ""}`, func(s *settings) { s.Name = "" }},
		{"array instead of a string", `{"which": ["a", "b"]}`, func(s *settings) { s.Which, s.Some = "", []string{"a", "b"} }},
		{"empty array instead of a string", `{"which": []}`, func(s *settings) { s.Which, s.Some = "", []string{} }},
		{"escapes", `{"name": "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"}`, func(s *settings) { s.Name = "\"\\/\b\f\n\r\té😀é" }},
		{"escaped field name", `{"\u006eame": "n"}`, func(s *settings) { s.Name = "n" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			want := defaults()
			tc.want(&want)
			got, err := read(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestFieldErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"null", `{"name": null}`, `name: null is no value; write a string, or leave the field out for the default`},
		{"null object", `{"inner": null}`, `inner: null is no value; write an object, or leave the field out for the default`},
		{"number for a string", `{"name": 5}`, `name: want a string, got 5; write "5"`},
		{"boolean for a string", `{"inner": {"name": true}}`, `inner.name: want a string, got true; write "true"`},
		{"array for a string", `{"inner": {"deep": {"name": []}}}`, `inner.deep.name: want a string, got an array`},
		{"string for a boolean", `{"on": "yes"}`, `on: want true or false without quotes, got the string "yes"`},
		{"number for a boolean", `{"on": 1}`, `on: want true or false without quotes, got 1`},
		{"null boolean", `{"on": null}`, `on: null is no value; write a boolean, or leave the field out for the default`},
		{"too small", `{"count": -4}`, `count: -4 does not fit; write a whole number from -3 to 10`},
		{"too large", `{"count": 11}`, `count: 11 does not fit; write a whole number from -3 to 10`},
		{"far too large", `{"count": 99999999999999999999999999999999999999999999999999}`, `count: 999999999999999999999999999999999999999999999999… does not fit; write a whole number from -3 to 10`},
		{"fraction", `{"count": 1.5}`, `count: 1.5 does not fit; write a whole number from -3 to 10`},
		{"exponent", `{"count": 1e0}`, `count: 1e0 does not fit; write a whole number from -3 to 10`},
		{"quoted number", `{"count": "5"}`, `count: the string "5" does not fit; write a whole number from -3 to 10`},
		{"null number", `{"count": null}`, `count: null does not fit; write a whole number from -3 to 10`},
		{"duration without a unit", `{"timeout": 5}`, `timeout: 5 has no unit; write "5s" for seconds`},
		{"quoted duration without a unit", `{"timeout": "5"}`, `timeout: "5" is not a duration; write it like "5s", "1m30s" or "250ms"`},
		{"duration in words", `{"timeout": "5 seconds"}`, `timeout: "5 seconds" is not a duration; write it like "5s", "1m30s" or "250ms"`},
		{"short duration", `{"timeout": "99ms"}`, `timeout: "99ms" does not fit; write a duration from "100ms" to "1h0m0s"`},
		{"negative duration", `{"timeout": "-5s"}`, `timeout: "-5s" does not fit; write a duration from "100ms" to "1h0m0s"`},
		{"long duration", `{"timeout": "61m"}`, `timeout: "61m" does not fit; write a duration from "100ms" to "1h0m0s"`},
		{"endless duration", `{"timeout": "9999999999h"}`, `timeout: "9999999999h" is not a duration; write it like "5s", "1m30s" or "250ms"`},
		{"duration object", `{"timeout": {}}`, `timeout: want a string, got an object`},
		{"string for an array", `{"hosts": "a"}`, `hosts: want an array, got the string "a"`},
		{"number for an array", `{"hosts": 5}`, `hosts: want an array, got 5`},
		{"number in an array", `{"hosts": ["a", "b", 5]}`, `hosts[2]: want a string, got 5; write "5"`},
		{"null in an array", `{"hosts": [null]}`, `hosts[0]: null is no value; write a string, or leave the field out for the default`},
		{"array for pairs", `{"headers": [["a", "b"]]}`, `headers: want an object, got an array`},
		{"number in pairs", `{"headers": {"a": 5}}`, `headers.a: want a string or an array of strings, got 5; write "5"`},
		{"null in pairs", `{"headers": {"x-a": null}}`, `headers.x-a: null is no value; write a string or an array of strings, or leave the field out for the default`},
		{"empty array in pairs", `{"headers": {"a": []}}`, `headers.a: the array is empty; write at least one string, or leave the field out`},
		{"number in an array in pairs", `{"headers": {"a": ["b", 1]}}`, `headers.a[1]: want a string, got 1; write "1"`},
		{"odd name in pairs", `{"headers": {"a.b\n": 1}}`, `headers."a.b\x0a": want a string or an array of strings, got 1; write "1"`},
		{"empty name in pairs", `{"headers": {"": 1}}`, `headers."": want a string or an array of strings, got 1; write "1"`},
		{"no choice", `{"mode": "requests"}`, `mode: "requests" is none of the choices; write "response", "request" or "both"`},
		{"choice of the wrong kind", `{"mode": ["request"]}`, `mode: want a string, got an array`},
		{"neither string nor array", `{"which": true}`, `which: want a string or an array of strings, got true; write "true"`},
		{"bad element of string or array", `{"which": ["a", {}]}`, `which[1]: want a string, got an object`},
		{"string for an object", `{"inner": "x"}`, `inner: want an object, got the string "x"`},
		{"line break in a value", `{"mode": "a\r\nb\u2028"}`, `mode: "a\x0d\x0ab\xe2\x80\xa8" is none of the choices; write "response", "request" or "both"`},
		{"unknown, near", `{"Names": 1}`, `unknown field "Names": did you mean "name"?`},
		{"unknown, nearest of two", `{"timout": 1}`, `unknown field "timout": did you mean "timeout"?`},
		{"unknown, far", `{"inner": {"zzz": 1}}`, `inner: unknown field "zzz"; write "name" or "deep", or remove it`},
		{"unknown, deep", `{"inner": {"deep": {"nmae": "x"}}}`, `inner.deep: unknown field "nmae": did you mean "name"?`},
		{"unknown, with a line break", `{"a\nb": 1}`, `unknown field "a\x0ab"; write "name", "on", "count", "timeout", "hosts", "headers", "mode", "which" or "inner", or remove it`},
		{"the first problem is told, not the last", `{"inner": 1, "name": 1}`, `name: want a string, got 1; write "1"`},
		{"a wrong value before an unknown field", `{"zzz": 1, "count": "x"}`, `count: the string "x" does not fit; write a whole number from -3 to 10`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := read(tc.in)
			if err == nil {
				t.Fatalf("accepted %s", tc.in)
			}
			if err.Error() != tc.want {
				t.Errorf("%s\ngot  %s\nwant %s", tc.in, err, tc.want)
			}
		})
	}
}

// A variable changes only if its whole field is good.
func TestBadFieldLeavesTheVariable(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{"name": 1}`, `{"on": 1}`, `{"count": 99}`, `{"timeout": "1"}`, `{"hosts": ["a", 1]}`,
		`{"headers": {"a": "b", "c": 1}}`, `{"headers": {"a": ["b", 1]}}`, `{"mode": "x"}`, `{"which": ["a", 1]}`,
	} {
		got, err := read(in)
		if err == nil {
			t.Errorf("accepted %s", in)
		}
		if want := defaults(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", in, got, want)
		}
	}
}

func TestHas(t *testing.T) {
	t.Parallel()
	o, err := ParseObject([]byte(`{"a": null}`))
	if err != nil {
		t.Fatal(err)
	}
	if !o.Has("a") || o.Has("b") {
		t.Errorf("Has(a) = %t, Has(b) = %t", o.Has("a"), o.Has("b"))
	}
	if err := o.Err(); err != nil {
		t.Errorf("a field that was asked for is unknown: %v", err)
	}
}

func TestFail(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fail func(o *Object)
		want string
	}{
		{func(o *Object) { o.Fail("a", "bad; mend it") }, "a: bad; mend it"},
		{func(o *Object) { o.Fail("", "bad; mend it") }, "bad; mend it"},
		{func(o *Object) { o.Object("b").Fail("c", "bad; mend it") }, "b.c: bad; mend it"},
		{func(o *Object) { o.Object("b").Fail("", "bad; mend it") }, "b: bad; mend it"},
		{func(o *Object) { o.Fail("a", "one\ntwo\x00") }, `a: one\x0atwo\x00`},
		{func(o *Object) { o.Fail("a", "first"); o.Fail("b", "second") }, "a: first"},
	} {
		o, err := ParseObject(nil)
		if err != nil {
			t.Fatal(err)
		}
		tc.fail(o)
		if err := o.Err(); err == nil || err.Error() != tc.want {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

func TestStringOrStringsReplacesBothDefaults(t *testing.T) {
	t.Parallel()
	o, err := ParseObject([]byte(`{"string": "s", "array": ["a"]}`))
	if err != nil {
		t.Fatal(err)
	}
	one, many := "default", []string{"default"}
	o.StringOrStrings("string", &one, &many)
	if one != "s" || many != nil {
		t.Errorf("after a string: %q, %q", one, many)
	}
	one, many = "default", []string{"default"}
	o.StringOrStrings("array", &one, &many)
	if one != "" || !reflect.DeepEqual(many, []string{"a"}) {
		t.Errorf("after an array: %q, %q", one, many)
	}
}

// An object may be read in two places; both count as reading it.
func TestObjectTwice(t *testing.T) {
	t.Parallel()
	o, err := ParseObject([]byte(`{"inner": {"a": "1", "b": "2"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var a, b string
	o.Object("inner").String("a", &a)
	o.Object("inner").String("b", &b)
	if err := o.Err(); err != nil || a != "1" || b != "2" {
		t.Errorf("a = %q, b = %q, error %v", a, b, err)
	}
}
