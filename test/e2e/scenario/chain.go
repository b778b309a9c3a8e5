package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
)

// chain has all three filters in one chain, each seeing what the ones before it did.
func chain(o Options) []Scenario {
	return []Scenario{{
		Name: "chain",
		Filters: []Filter{
			{Module: "authtoken", Configuration: fmt.Sprintf(
				`{"cluster": %q, "interval": "1s", "inject": {"on": "request"}}`, o.AuthCluster("chain"))},
			{Module: "headers", Configuration: `{
				"request":  {"set": {"x-my-custom-header": "hello world"}},
				"response": {"remove": ["x-wasm-filter"], "add": {"x-from": "headers"}},
				"count":    {"metric": "chain_counter"}}`},
			{Module: "requestlog"},
		},
		Checks: []Check{
			{"each filter does its part, in order", func(ctx context.Context, e *Env) error {
				return envoytest.Until(ctx, func() error {
					const path = "/anything/chained"
					mark := e.Log.Mark()
					header := http.Header{"X-Kept": {"yes"}}
					seen, res, err := e.upstream(ctx, header)
					if err != nil {
						return err
					}
					token := seen.Get("X-Auth")
					if token == "" {
						return errors.New("the upstream saw no token yet")
					}
					line, err := e.logged(ctx, request{path: path, header: header})
					if err != nil {
						return err
					}
					logged, _ := line["request_headers"].(map[string]any)
					for _, l := range e.Log.Lines(mark) {
						if hasAll(l, token) {
							return fmt.Errorf("the log gives the token away: %s", l)
						}
					}
					return errors.Join(
						// authtoken and headers change the request; requestlog,
						// behind them, sees it changed.
						sameValues(upstreamSide, seen, "X-My-Custom-Header", "hello world"),
						field(logged, "x-my-custom-header", "hello world"),
						field(logged, "x-auth", "[redacted]"),
						// A response passes headers before authtoken, which adds
						// what headers would have removed.
						sameValues(client, res.header, "X-From", "headers"),
						sameValues(client, res.header, "X-Wasm-Filter", "hello from wasm"))
				})
			}},
			{"counts the header hello", func(ctx context.Context, e *Env) error {
				return countsHeader(ctx, e, "hello", "chain_counter")
			}},
		},
	}}
}
