package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

func requestlog() []Scenario {
	return []Scenario{
		{
			Name:    "requestlog",
			Filters: []Filter{{Module: "requestlog"}},
			Inbound: true,
			Checks: []Check{
				{"logs one JSON line for a request", func(ctx context.Context, e *Env) error {
					const path = "/anything/posted?id=3"
					line, err := e.logged(ctx, request{
						method: http.MethodPost,
						path:   path,
						body:   "twelve bytes",
						header: http.Header{"X-One": {"1"}, "X-Two": {"a", "b"}, "X-Odd": {"quote \" and \\ and \xff"}},
					})
					if err != nil {
						return err
					}
					u, err := url.Parse(e.URL)
					if err != nil {
						return err
					}
					logged, _ := line["request_headers"].(map[string]any)
					return errors.Join(
						field(line, "direction", "in"), // the listener's
						field(line, "method", http.MethodPost),
						field(line, "path", path),
						field(line, "authority", u.Host),
						field(line, "status", 200.0),
						field(line, "request_bytes", float64(len("twelve bytes"))),
						atLeast(line, "response_bytes", 1),
						atLeast(line, "duration_ms", 0),
						atLeast(line, "stream_id", 1),
						field(logged, "x-one", "1"),
						field(logged, "x-two", []any{"a", "b"}),
						field(logged, "x-odd", "quote \" and \\ and \ufffd"))
				}},
				{"redacts secrets", func(ctx context.Context, e *Env) error {
					const secret = "Tell-Nobody"
					header := http.Header{}
					for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Auth"} {
						header.Set(name, secret)
					}
					mark := e.Log.Mark()
					line, err := e.logged(ctx, request{path: "/anything/secrets", header: header})
					if err != nil {
						return err
					}
					logged, _ := line["request_headers"].(map[string]any)
					errs := []error{}
					for name := range header {
						errs = append(errs, field(logged, strings.ToLower(name), "[redacted]"))
					}
					for _, l := range e.Log.Lines(mark) {
						if strings.Contains(l, secret) {
							errs = append(errs, fmt.Errorf("the log gives a secret away: %s", l))
						}
					}
					return errors.Join(errs...)
				}},
				{"logs a status other than 200", func(ctx context.Context, e *Env) error {
					line, err := e.logged(ctx, request{path: "/status/418"})
					if err != nil {
						return err
					}
					return field(line, "status", 418.0)
				}},
				{"cuts a long line, which stays JSON", func(ctx context.Context, e *Env) error {
					line, err := e.logged(ctx, request{path: "/anything/long", header: http.Header{
						"X-Long": {strings.Repeat("long ", 4000)}, "X-Short": {"short"},
					}})
					if err != nil {
						return err
					}
					return field(line, "truncated", true)
				}},
			},
		},
		{
			Name: "requestlog-configured",
			Filters: []Filter{{
				Module:          "requestlog",
				VMConfiguration: `{"direction": "out"}`,
				Configuration:   `{"headers": ["x-wanted", "x-secret"], "redact": ["x-secret"]}`,
			}},
			Inbound: true,
			Checks: []Check{
				{"logs only what is configured", func(ctx context.Context, e *Env) error {
					line, err := e.logged(ctx, request{path: "/anything/configured", header: http.Header{
						"X-Wanted": {"yes"}, "X-Unwanted": {"no"}, "X-Secret": {"hush"},
					}})
					if err != nil {
						return err
					}
					return errors.Join(
						field(line, "direction", "out"), // the VM's, which goes before the listener's
						field(line, "request_headers", map[string]any{"x-wanted": "yes", "x-secret": "[redacted]"}))
				}},
			},
		},
	}
}

// logged sends a request and returns the one JSON line that requestlog writes
// about it, at level info.
func (e *Env) logged(ctx context.Context, r request) (map[string]any, error) {
	mark := e.Log.Mark()
	if _, err := e.send(ctx, r); err != nil {
		return nil, err
	}
	path := fmt.Sprintf("%q:%q", "path", r.path)
	text, err := e.waitLog(ctx, mark, "[info]", "wasm log", path)
	if err != nil {
		return nil, err
	}
	var line map[string]any
	if _, object, ok := strings.Cut(text, ": {"); !ok {
		return nil, fmt.Errorf("no JSON in the line %q", text)
	} else if err := json.Unmarshal([]byte("{"+object), &line); err != nil {
		return nil, fmt.Errorf("the line is not JSON: %w: %q", err, text)
	}
	if n := len(linesWith(strings.Join(e.Log.Lines(mark), "\n"), path)); n != 1 {
		return nil, fmt.Errorf("%d lines for one request", n)
	}
	return line, nil
}

func field(object map[string]any, name string, want any) error {
	if got := object[name]; !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the line has %s: %#v, want %#v", name, got, want)
	}
	return nil
}

func atLeast(object map[string]any, name string, least float64) error {
	if got, ok := object[name].(float64); !ok || got < least {
		return fmt.Errorf("the line has %s: %#v, want a number from %v", name, object[name], least)
	}
	return nil
}
