package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

func headers() []Scenario {
	return []Scenario{
		{
			Name: "headers",
			Filters: []Filter{{Module: "headers", Configuration: `{
				"request":  {"remove": ["x-remove"], "set": {"x-set": "by the filter"}, "add": {"x-add": ["one", "two"]}},
				"response": {"remove": ["x-remove"], "set": {"x-set": "by the filter"}, "add": {"x-my-custom-header": "hello world"}},
				"count":    {"header": "x-count-me", "metric": "my_counter"}}`}},
			Checks: []Check{
				{"the upstream sees changed request headers", func(ctx context.Context, e *Env) error {
					seen, _, err := e.upstream(ctx, http.Header{
						"X-Remove": {"a", "b"}, "X-Set": {"c", "d"}, "X-Add": {"zero"}, "X-Keep": {"e"},
					})
					if err != nil {
						return err
					}
					return errors.Join(
						sameValues(upstreamSide, seen, "X-Remove"),
						sameValues(upstreamSide, seen, "X-Set", "by the filter"),
						sameValues(upstreamSide, seen, "X-Add", "zero", "one", "two"),
						sameValues(upstreamSide, seen, "X-Keep", "e"),
						sameValues(upstreamSide, seen, "X-My-Custom-Header"))
				}},
				{"the client sees changed response headers", func(ctx context.Context, e *Env) error {
					res, err := e.sendOK(ctx, request{path: "/response-headers?x-remove=a&x-set=b&x-set=c&x-keep=d"})
					if err != nil {
						return err
					}
					return errors.Join(
						sameValues(client, res.header, "X-Remove"),
						sameValues(client, res.header, "X-Set", "by the filter"),
						sameValues(client, res.header, "X-My-Custom-Header", "hello world"),
						sameValues(client, res.header, "X-Keep", "d"),
						sameValues(client, res.header, "X-Add"))
				}},
				{"counts the configured header", func(ctx context.Context, e *Env) error {
					return countsHeader(ctx, e, "x-count-me", "my_counter")
				}},
				{"logs headers and the stream's end at debug", func(ctx context.Context, e *Env) error {
					mark := e.Log.Mark()
					if _, _, err := e.upstream(ctx, http.Header{"X-Trace-Me": {"through the log"}}); err != nil {
						return err
					}
					line, err := e.waitLog(ctx, mark, "[debug]", "wasm log", "request header", "x-trace-me: through the log")
					if err != nil {
						return err
					}
					stream, err := contextID(line)
					if err != nil {
						return err
					}
					_, err = e.waitLog(ctx, mark, "[debug]", "wasm log", stream, "response header", ":status: 200")
					_, err2 := e.waitLog(ctx, mark, "[debug]", "wasm log", stream, "stream done")
					return errors.Join(err, err2)
				}},
			},
		},
		{
			Name:    "headers-as-lines",
			Filters: []Filter{{Module: "headers", Configuration: "# added to responses\n\nx-my-custom-header = hello world\nx-equals=a=b\n"}},
			Checks: []Check{
				{"the client sees added response headers", func(ctx context.Context, e *Env) error {
					seen, res, err := e.upstream(ctx, nil)
					if err != nil {
						return err
					}
					return errors.Join(
						sameValues(client, res.header, "X-My-Custom-Header", "hello world"),
						sameValues(client, res.header, "X-Equals", "a=b"),
						sameValues(upstreamSide, seen, "X-My-Custom-Header"))
				}},
			},
		},
		{
			Name:    "headers-unconfigured",
			Filters: []Filter{{Module: "headers"}},
			Checks: []Check{
				{"counts requests with the header hello", func(ctx context.Context, e *Env) error {
					return countsHeader(ctx, e, "hello", "hello_header_counter")
				}},
			},
		},
	}
}

// countsHeader sends requests with and without a header and looks at the counter.
func countsHeader(ctx context.Context, e *Env, header, metric string) error {
	before, err := e.counter(ctx, metric)
	if err != nil {
		return err
	}
	const with, without = 3, 2
	for range without {
		if _, _, err := e.upstream(ctx, nil); err != nil {
			return err
		}
	}
	for i := range with {
		// An empty value counts as well.
		if _, _, err := e.upstream(ctx, http.Header{header: {[]string{"", "world"}[i%2]}}); err != nil {
			return err
		}
	}
	return e.counterIs(ctx, metric, before+with)
}

// contextID returns the part of the filter's log line that names its stream.
func contextID(line string) (string, error) {
	_, message, ok := strings.Cut(line, " context ")
	id, _, ok2 := strings.Cut(message, ":")
	if !ok || !ok2 {
		return "", fmt.Errorf("no context id in the line %q", line)
	}
	return " context " + id + ":", nil
}
