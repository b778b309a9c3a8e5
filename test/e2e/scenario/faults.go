package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// faults are filters that cannot run: a module with another sha256 than announced, and
// configurations that a filter refuses. The proxy then does what was chosen for this
// case: it refuses requests (503), or lets them pass untouched.
func faults() []Scenario {
	bad := []struct {
		filter Filter
		line   string // what the filter says, besides its name
	}{
		{Filter{Module: "headers", Configuration: "x-a = b\nno equals sign"}, "line 2"},
		{Filter{Module: "headers", Configuration: "content-length = 1"}, "content-length"},
		{Filter{Module: "requestlog", Configuration: `{"hedaers": "none"}`}, "hedaers"},
		{Filter{Module: "requestlog", VMConfiguration: `{"direction": "up"}`}, "direction"},
		{Filter{Module: "authtoken", Configuration: `{"interval": "1ms"}`}, "interval"},
	}
	scenarios := []Scenario{
		{
			Name:    "wrong-sha256",
			Alone:   true,
			Filters: []Filter{{Module: "headers", Configuration: "x-a=b", WrongSum: true}},
			Checks: []Check{
				{"refuses requests", refuses},
				{"the proxy says why", saysNotFetched},
			},
		},
		{
			Name:    "wrong-sha256-fail-open",
			Alone:   true,
			Filters: []Filter{{Module: "headers", Configuration: "x-a=b", WrongSum: true, FailOpen: true}},
			Checks: []Check{
				{"lets requests pass untouched", passesUntouched},
				{"the proxy says why", saysNotFetched},
			},
		},
	}
	seen := map[string]int{}
	for _, b := range bad {
		seen[b.filter.Module]++
		name := "bad-configuration-" + b.filter.Module
		if n := seen[b.filter.Module]; n > 1 {
			name = fmt.Sprintf("%s-%d", name, n)
		}
		says := Check{"the filter says what to mend, in one line", func(ctx context.Context, e *Env) error {
			if _, err := e.waitLog(ctx, 0, "[critical]", "wasm log", b.filter.Module+": ", b.line); err != nil {
				return err
			}
			var lines []string
			for _, line := range e.Log.Lines(0) {
				if hasAll(line, "[critical]", "wasm log") {
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 {
				return fmt.Errorf("%d lines: %q", len(lines), lines)
			}
			return nil
		}}
		scenarios = append(scenarios, Scenario{
			Name: name, Filters: []Filter{b.filter}, Checks: []Check{{"refuses requests", refuses}, says},
		})
	}
	open := bad[0].filter
	open.FailOpen = true
	return append(scenarios, Scenario{
		Name: "bad-configuration-fail-open", Filters: []Filter{open},
		Checks: []Check{{"lets requests pass untouched", passesUntouched}},
	})
}

func refuses(ctx context.Context, e *Env) error {
	for range 3 {
		res, err := e.send(ctx, request{path: "/get"})
		if err != nil {
			return err
		}
		if res.status != http.StatusServiceUnavailable {
			return fmt.Errorf("status %d, want 503", res.status)
		}
		if len(res.body) > 0 {
			return fmt.Errorf("a body came through: %q", res.body)
		}
	}
	return nil
}

func passesUntouched(ctx context.Context, e *Env) error {
	for range 3 {
		seen, res, err := e.upstream(ctx, http.Header{"X-Kept": {"yes"}})
		if err != nil {
			return err
		}
		if err := errors.Join(
			sameValues(upstreamSide, seen, "X-Kept", "yes"),
			sameValues(client, res.header, "X-A")); err != nil {
			return err
		}
	}
	return nil
}

// saysNotFetched: Envoy logs that it gave up on the module, and for which plugin.
func saysNotFetched(ctx context.Context, e *Env) error {
	_, err := e.waitLog(ctx, 0, "[warning]", "Retry limit exceeded for fetching data from remote data source")
	_, err2 := e.waitLog(ctx, 0, "[critical]", "Plugin ", "failed to load")
	return errors.Join(err, err2)
}
