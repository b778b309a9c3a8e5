package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/filter/conf"
	"github.com/slipway-wasm/slipway/filter/httpheader"
)

func defaults() config {
	return config{
		cluster:     "my_custom_svc",
		method:      "GET",
		path:        "/auth",
		authority:   "some_authority",
		headers:     []conf.Pair{{Name: "accept", Value: "*/*"}},
		timeout:     5 * time.Second,
		interval:    15 * time.Second,
		tokenHeader: "authorization",
		onResponse:  true,
		header:      "x-auth",
		static:      []conf.Pair{{Name: "x-wasm-filter", Value: "hello from wasm"}},
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, in string
		change   func(c *config)
	}{
		{"nothing", ``, func(*config) {}},
		{"an empty object", ` {} `, func(*config) {}},
		{"the cluster", `{"cluster": "outbound|80||auth.example"}`, func(c *config) { c.cluster = "outbound|80||auth.example" }},
		{"the method", `{"method": "POST"}`, func(c *config) { c.method = "POST" }},
		{"the path", `{"path": "/token?grant_type=client_credentials&x=%20"}`, func(c *config) { c.path = "/token?grant_type=client_credentials&x=%20" }},
		{"the authority", `{"authority": "[::1]:8080"}`, func(c *config) { c.authority = "[::1]:8080" }},
		{"headers", `{"headers": {"Authorization": "Basic eA==", "X-List": ["a", ""]}}`, func(c *config) {
			c.headers = []conf.Pair{{Name: "authorization", Value: "Basic eA=="}, {Name: "x-list", Value: "a"}, {Name: "x-list", Value: ""}}
		}},
		{"no headers", `{"headers": {}}`, func(c *config) { c.headers = []conf.Pair{} }},
		{"times", `{"timeout": "100ms", "interval": "24h"}`, func(c *config) { c.timeout, c.interval = 100*time.Millisecond, 24*time.Hour }},
		{"a timeout as long as the interval", `{"timeout": "1s", "interval": "1s"}`, func(c *config) { c.timeout, c.interval = time.Second, time.Second }},
		{"an interval shorter than the default timeout", `{"interval": "3s"}`, func(c *config) { c.timeout, c.interval = 3*time.Second, 3*time.Second }},
		{"the longest timeout", `{"timeout": "1m", "interval": "1m"}`, func(c *config) { c.timeout, c.interval = time.Minute, time.Minute }},
		{"the token's header", `{"token_header": "X-Token"}`, func(c *config) { c.tokenHeader = "x-token" }},
		{"on requests", `{"inject": {"on": "request", "header": "Authorization"}}`, func(c *config) { c.onRequest, c.onResponse, c.header = true, false, "authorization" }},
		{"on both", `{"inject": {"on": "both"}}`, func(c *config) { c.onRequest = true }},
		{"static", `{"static": {"X-A": "1"}}`, func(c *config) { c.static = []conf.Pair{{Name: "x-a", Value: "1"}} }},
		{"static with the name that requests get", `{"inject": {"on": "request"}, "static": {"x-auth": "1"}}`, func(c *config) {
			c.onRequest, c.onResponse, c.static = true, false, []conf.Pair{{Name: "x-auth", Value: "1"}}
		}},
	} {
		want := defaults()
		tc.change(&want)
		got, err := parseConfig([]byte(tc.in))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		} else if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: got %+v\nwant %+v", tc.name, *got, want)
		}
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{`{"cluster": ""}`, `cluster: the name is empty; write the name of the proxy's cluster with the auth service`},
		{`{"cluster": 1}`, `cluster: want a string, got 1; write "1"`},
		{`{"method": "get"}`, `method: "get" is none of the choices; write "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" or "OPTIONS"`},
		{`{"path": ""}`, `path: "" is not a path; start it with "/" and write spaces and what is not ASCII as %20 and the like`},
		{`{"path": "auth"}`, `path: "auth" is not a path; start it with "/" and write spaces and what is not ASCII as %20 and the like`},
		{`{"path": "/a b"}`, `path: "/a b" is not a path; start it with "/" and write spaces and what is not ASCII as %20 and the like`},
		{`{"path": "/\r\nx: y"}`, `path: "/\x0d\x0ax: y" is not a path; start it with "/" and write spaces and what is not ASCII as %20 and the like`},
		{`{"authority": ""}`, `authority: "" is not an authority; write a host, or a host and a port such as "auth.example:8080"`},
		{`{"authority": "a b"}`, `authority: "a b" is not an authority; write a host, or a host and a port such as "auth.example:8080"`},
		{`{"headers": {":path": "/"}}`, `headers: header ":path" is a pseudo header, which only the proxy sets; change it in the proxy's route`},
		{`{"headers": {"Content-Length": "3"}}`, `headers: header "Content-Length" frames the body, which is the proxy's work; leave it out`},
		{`{"headers": {"authorization": "Bearer x\r\nhost: y"}}`, `headers: header "authorization": the header value holds a line break; write it on one line`},
		{`{"headers": {"a": 1}}`, `headers.a: want a string or an array of strings, got 1; write "1"`},
		{`{"timeout": 5}`, `timeout: 5 has no unit; write "5s" for seconds`},
		{`{"timeout": "99ms"}`, `timeout: "99ms" does not fit; write a duration from "100ms" to "1m0s"`},
		{`{"interval": "999ms"}`, `interval: "999ms" does not fit; write a duration from "1s" to "24h0m0s"`},
		{`{"interval": "25h"}`, `interval: "25h" does not fit; write a duration from "1s" to "24h0m0s"`},
		{`{"interval": "3s", "timeout": "5s"}`, `timeout: 5s is longer than the interval of 3s; write a shorter timeout or a longer interval`},
		{`{"token_header": "x token"}`, `token_header: header name "x token" is not a token; use letters, digits and -`},
		{`{"token_header": ":status"}`, `token_header: header ":status" is a pseudo header, which only the proxy sets; change it in the proxy's route`},
		{`{"inject": "response"}`, `inject: want an object, got the string "response"`},
		{`{"inject": {"on": "requests"}}`, `inject.on: "requests" is none of the choices; write "response", "request" or "both"`},
		{`{"inject": {"header": "Connection"}}`, `inject.header: header "Connection" belongs to one connection (hop-by-hop), which is the proxy's work; leave it out`},
		{`{"inject": {"header": ""}}`, `inject.header: the header name is empty; write a name such as x-my-header`},
		{`{"inject": {"name": "x"}}`, `inject: unknown field "name"; write "on" or "header", or remove it`},
		{`{"static": {"a": "\u0000"}}`, `static: header "a": the header value holds a NUL character; remove it`},
		{`{"static": {"X-Auth": "mine"}}`, `static: "x-auth" is the header that carries the token (inject.header); leave it out`},
		{`{"inject": {"header": "x-wasm-filter"}}`, `static: "x-wasm-filter" is the header that carries the token (inject.header); leave it out`},
		{`{"intervall": "3s"}`, `unknown field "intervall": did you mean "interval"?`},
		{`[]`, `line 1, column 1: the configuration is not a JSON object; put the fields between { and }`},
		{`{"path": "/a",}`, `line 1, column 15: a comma before }; remove the comma`},
	} {
		if c, err := parseConfig([]byte(tc.in)); err == nil {
			t.Errorf("%s is accepted: %+v", tc.in, *c)
		} else if err.Error() != tc.want {
			t.Errorf("%s\n got %s\nwant %s", tc.in, err, tc.want)
		}
	}
}

// Plugins share a token if and only if they ask the same question.
func TestKey(t *testing.T) {
	t.Parallel()
	key := func(in string) string {
		c, err := parseConfig([]byte(in))
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		return c.key()
	}
	seen := map[string]string{}
	for _, in := range []string{
		`{}`,
		`{"cluster": "b"}`,
		`{"method": "POST"}`,
		`{"path": "/b"}`,
		`{"authority": "b"}`,
		`{"token_header": "b"}`,
		`{"headers": {}}`,
		`{"headers": {"accept": "b"}}`,
		`{"headers": {"accept": "*/*", "a": "b"}}`,
		// The boundaries between the fields must count.
		`{"path": "/ab", "authority": "c"}`,
		`{"path": "/a", "authority": "bc"}`,
		`{"headers": {"a": "b c"}}`,
		`{"headers": {"a": "b", "c": ""}}`,
		`{"headers": {"a": "b 1:c 0:"}}`,
		`{"headers": {"a": "b :c :"}}`,
	} {
		k := key(in)
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s have the same key", in, other)
		}
		seen[k] = in
	}
	for _, in := range []string{
		`{"cluster": "my_custom_svc", "headers": {"Accept": "*/*"}}`,
		`{"timeout": "1s", "interval": "1m"}`,
		`{"inject": {"on": "both", "header": "a"}}`,
		`{"static": {}}`,
	} {
		if key(in) != key(`{}`) {
			t.Errorf("%s does not have the key of the defaults", in)
		}
	}
}

func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `[]`, `null`, `{"cluster": "a", "method": "HEAD", "path": "/x", "authority": "b:1"}`,
		`{"headers": {"a": ["b", "c"]}, "timeout": "1s", "interval": "1m"}`,
		`{"inject": {"on": "both", "header": "X-Auth"}, "static": {"x-auth": "a"}}`,
		`{"token_header": "x-token", "static": {}}`,
		"{\"path\": \"/\\u2028\", \"headers\": {\"\\r\": \"\\n\"}}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := parseConfig(in)
		if err != nil {
			if m := err.Error(); m == "" || strings.ContainsAny(m, "\r\n\x00") {
				t.Errorf("the message is not one line: %q", m)
			}
			return
		}
		if c.cluster == "" || c.path[0] != '/' || c.authority == "" || strings.ContainsAny(c.method+c.path+c.authority, "\r\n\x00 ") {
			t.Errorf("accepted %+v", *c)
		}
		if c.timeout < 100*time.Millisecond || c.timeout > c.interval || c.interval < time.Second || c.interval > 24*time.Hour {
			t.Errorf("accepted timeout %v and interval %v", c.timeout, c.interval)
		}
		if !c.onRequest && !c.onResponse {
			t.Error("the token goes nowhere")
		}
		names := []string{c.tokenHeader, c.header}
		for _, p := range append(append([]conf.Pair{}, c.headers...), c.static...) {
			names = append(names, p.Name)
			if err := httpheader.CheckValue(p.Value); err != nil {
				t.Errorf("accepted the value %q: %v", p.Value, err)
			}
		}
		for _, name := range names {
			if err := httpheader.CheckName(name); err != nil || name != strings.ToLower(name) {
				t.Errorf("accepted the name %q: %v", name, err)
			}
		}
	})
}
