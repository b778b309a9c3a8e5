package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy/authservice"
	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
)

const (
	refreshSuccess = "authtoken_refresh_success"
	refreshFailure = "authtoken_refresh_failure"

	// tokenInterval is the shortest that the filter accepts.
	tokenInterval = time.Second
)

func authtoken(o Options) []Scenario {
	configure := func(scenario, more string) Filter {
		return Filter{Module: "authtoken", Configuration: fmt.Sprintf(`{"cluster": %q, "interval": "1s"%s}`, o.AuthCluster(scenario), more)}
	}
	withoutToken := func(name string, mode authservice.Mode) Scenario {
		return Scenario{
			Name:    name,
			Filters: []Filter{configure(name, "")},
			Auth:    mode,
			Checks: []Check{
				{"works without a token", worksWithoutToken},
				{"has the token once the service gives one", hasTokenOnceAnswering},
			},
		}
	}
	return []Scenario{
		{
			Name:  "authtoken",
			Alone: true, // counts fetches
			Filters: []Filter{configure("authtoken",
				`, "path": "/token", "authority": "auth.example", "headers": {"accept": "text/plain", "x-who": "e2e"}`)},
			Checks: []Check{
				{"fetches at once, as configured", func(ctx context.Context, e *Env) error {
					return envoytest.Until(ctx, func() error {
						fetches := e.Auth.Fetches()
						if len(fetches) == 0 {
							return errors.New("nothing fetched")
						}
						f := fetches[0]
						if f.Method != http.MethodGet || f.Path != "/token" || f.Host != "auth.example" {
							return fmt.Errorf("fetched by %s %s from %s", f.Method, f.Path, f.Host)
						}
						return errors.Join(
							sameValues("the auth service", f.Header, "Accept", "text/plain"),
							sameValues("the auth service", f.Header, "X-Who", "e2e"))
					})
				}},
				{"the client sees the token and the static header", func(ctx context.Context, e *Env) error {
					return envoytest.Until(ctx, func() error {
						seen, res, err := e.upstream(ctx, http.Header{"X-Auth": {"the client's"}})
						if err != nil {
							return err
						}
						return errors.Join(
							e.lastToken(res.header),
							sameValues(client, res.header, "X-Wasm-Filter", "hello from wasm"),
							sameValues(upstreamSide, seen, "X-Auth", "the client's"))
					})
				}},
				{"counts and uses refreshed tokens", func(ctx context.Context, e *Env) error {
					return envoytest.Until(ctx, func() error {
						n, err := e.counter(ctx, refreshSuccess)
						if err != nil {
							return err
						}
						if n < 2 {
							return fmt.Errorf("%d refreshes so far", n)
						}
						res, err := e.sendOK(ctx, request{path: "/get"})
						if err != nil {
							return err
						}
						return e.lastToken(res.header)
					})
				}},
				{"keeps the last token while the service is down", func(ctx context.Context, e *Env) error {
					mark := e.Log.Mark()
					if err := e.Auth.Set(authservice.Down); err != nil {
						return err
					}
					if err := e.moreFailures(ctx, 2); err != nil {
						return err
					}
					res, err := e.sendOK(ctx, request{path: "/get"})
					if err != nil {
						return err
					}
					if _, err := e.waitLog(ctx, mark, "[warning]", "wasm log", "authtoken: no new token"); err != nil {
						return err
					}
					return errors.Join(e.lastToken(res.header), e.once(mark, "authtoken: no new token"))
				}},
				{"fetches again when it is back", func(ctx context.Context, e *Env) error {
					mark := e.Log.Mark()
					before := len(e.Auth.Fetches())
					if err := e.Auth.Set(authservice.Answering); err != nil {
						return err
					}
					if err := envoytest.Until(ctx, func() error {
						if n := len(e.Auth.Fetches()); n <= before {
							return fmt.Errorf("%d fetches since the service is back", n-before)
						}
						res, err := e.sendOK(ctx, request{path: "/get"})
						if err != nil {
							return err
						}
						return e.lastToken(res.header)
					}); err != nil {
						return err
					}
					_, err := e.waitLog(ctx, mark, "[info]", "wasm log", "authtoken:", "gives tokens again")
					return errors.Join(err, e.once(mark, "gives tokens again"))
				}},
				{"has counted every fetch", func(ctx context.Context, e *Env) error {
					if err := e.Auth.Set(authservice.Down); err != nil {
						return err
					}
					given := 0
					for _, f := range e.Auth.Fetches() {
						if f.Token != "" {
							given++
						}
					}
					return e.counterIs(ctx, refreshSuccess, uint64(given))
				}},
				{"never logs the token", noTokenInLog},
			},
		},
		{
			Name:    "authtoken-both",
			Filters: []Filter{configure("authtoken-both", `, "inject": {"on": "both", "header": "x-token"}, "static": {}`)},
			Checks: []Check{
				{"upstream and client see the token, no other value", func(ctx context.Context, e *Env) error {
					return envoytest.Until(ctx, func() error {
						seen, res, err := e.upstream(ctx, http.Header{"X-Token": {"forged", "twice"}})
						if err != nil {
							return err
						}
						token := res.header.Get("X-Token")
						if token == "" {
							return errors.New("no token yet")
						}
						return errors.Join(
							sameValues(client, res.header, "X-Token", token),
							sameValues(upstreamSide, seen, "X-Token", token),
							sameValues(client, res.header, "X-Wasm-Filter"))
					})
				}},
			},
		},
		withoutToken("authtoken-down", authservice.Down),
		withoutToken("authtoken-silent", authservice.Silent),
		withoutToken("authtoken-garbage", authservice.Garbage),
		withoutToken("authtoken-failing", authservice.Failing),
		{
			Name:    "authtoken-no-cluster",
			Filters: []Filter{{Module: "authtoken", Configuration: `{"cluster": "nobody", "interval": "1s"}`}},
			Checks:  []Check{{"works without a token", worksWithoutToken}},
		},
		{
			Name:    "authtoken-workers",
			Filters: []Filter{configure("authtoken-workers", "")},
			Alone:   true,
			Workers: 4,
			Auth:    authservice.Slow,
			Checks:  []Check{{"4 workers fetch once per interval and share the token", fetchesOncePerInterval}},
		},
	}
}

// worksWithoutToken: fetches fail, which is logged once, and traffic passes without the
// header.
func worksWithoutToken(ctx context.Context, e *Env) error {
	if _, err := e.waitLog(ctx, 0, "[warning]", "authtoken: no token"); err != nil {
		return err
	}
	if _, err := e.waitLog(ctx, 0, "[debug]", "authtoken: still no new token"); err != nil {
		return err
	}
	// The upstream's own header must not be taken for the token.
	res, err := e.sendOK(ctx, request{path: "/response-headers?x-auth=the+upstream's"})
	if err != nil {
		return err
	}
	return errors.Join(
		sameValues(client, res.header, "X-Auth"),
		sameValues(client, res.header, "X-Wasm-Filter", "hello from wasm"),
		e.once(0, "authtoken: no token"))
}

func hasTokenOnceAnswering(ctx context.Context, e *Env) error {
	if err := e.Auth.Set(authservice.Answering); err != nil {
		return err
	}
	return envoytest.Until(ctx, func() error {
		res, err := e.sendOK(ctx, request{path: "/get"})
		if err != nil {
			return err
		}
		return e.lastToken(res.header)
	})
}

// fetchesOncePerInterval looks at the times at which fetches reached the service. A
// token is fetched an interval after the last one arrived. So two fetches are never
// closer together, on however busy a machine, unless workers do not share.
func fetchesOncePerInterval(ctx context.Context, e *Env) error {
	const fetches, requests = 4, 16
	err := envoytest.Until(ctx, func() error {
		if n := len(e.Auth.Fetches()); n < fetches {
			return fmt.Errorf("%d fetches, waiting for %d", n, fetches)
		}
		return nil
	})
	if err != nil {
		return err
	}
	seen := e.Auth.Fetches()
	for i := 1; i < len(seen); i++ {
		// A tenth is left for the two clocks and their rounding.
		if gap := seen[i].Time.Sub(seen[i-1].Time); gap < tokenInterval*9/10 {
			return fmt.Errorf("fetches %d and %d are %v apart, want %v: workers do not share", i, i+1, gap, tokenInterval)
		}
	}
	// While the service is down the token stays, so all workers come to show the same
	// one.
	if err := e.Auth.Set(authservice.Down); err != nil {
		return err
	}
	return envoytest.Until(ctx, func() error {
		for range requests {
			res, err := e.sendOK(ctx, request{path: "/get"})
			if err != nil {
				return err
			}
			if err := e.lastToken(res.header); err != nil {
				return err
			}
		}
		return nil
	})
}

// lastToken compares the token that the client sees with the one that the service
// gave out last.
func (e *Env) lastToken(h http.Header) error {
	last := ""
	for _, f := range e.Auth.Fetches() {
		if f.Token != "" {
			last = f.Token
		}
	}
	if last == "" {
		return errors.New("the service has given out no token")
	}
	return sameValues(client, h, "X-Auth", last)
}

// moreFailures waits until n more fetches have failed.
func (e *Env) moreFailures(ctx context.Context, n uint64) error {
	before, err := e.counter(ctx, refreshFailure)
	if err != nil {
		return err
	}
	return envoytest.Until(ctx, func() error {
		now, err := e.counter(ctx, refreshFailure)
		if err == nil && now < before+n {
			err = fmt.Errorf("%d fetches failed, waiting for %d", now-before, n)
		}
		return err
	})
}

// once finds a line that must be logged only once per change of state, above debug.
func (e *Env) once(mark int, part string) error {
	n := 0
	for _, line := range e.Log.Lines(mark) {
		if hasAll(line, part) && !hasAll(line, "[debug]") {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("%d log lines with %q, want 1", n, part)
	}
	return nil
}

func noTokenInLog(_ context.Context, e *Env) error {
	for _, f := range e.Auth.Fetches() {
		for _, line := range e.Log.Lines(0) {
			if f.Token != "" && hasAll(line, f.Token) {
				return fmt.Errorf("the log gives the token away: %s", line)
			}
		}
	}
	return nil
}
