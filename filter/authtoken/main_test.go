package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/vmtest"
)

// behaviour is one thing the plugin does. Every token in the tests holds the word
// "secret", so that it would be noticed in a log.
type behaviour struct {
	name, configuration string
	test                func(r *rig)
}

var behaviours = slices.Concat([]behaviour{
	{"first fetch", ``, testFirstFetch},
	{"fetch as configured", `{"cluster": "c", "method": "POST", "path": "/p?q", "authority": "a:1", "headers": {"X-A": ["1", "2"]},
		"token_header": "X-Token", "inject": {"on": "both", "header": "X-Out"}, "static": {}}`, testFetchAsConfigured},
	{"static headers", `{"static": {"X-A": "1", "x-b": ""}}`, testStatic},
	{"default static header", ``, testDefaultStatic},
	// The intervals are short, because the compiled module's clock goes slowly.
	{"refresh", `{"interval": "1s"}`, testRefresh},
	{"failures", `{"interval": "3s", "timeout": "1s"}`, testFailures},
	{"reload keeps the token", ``, testReload},
	{"done gives up the lease", ``, testDone},
	{"bad configuration", `{"interval": 15}`, testBadConfiguration},
}, injectBehaviours(), unusableAnswers(), usableAnswers())

// TestPlugin runs every behaviour natively and on the compiled module: on one VM,
// because making one takes seconds when the module is large, but each in a proxy
// of its own.
func TestPlugin(t *testing.T) {
	clock := time.Unix(1_700_000_000, 0)
	native := func() types.VMContext {
		return &vmContext{clock: func() time.Time { return clock }}
	}
	vmtest.Run(t, "authtoken", native, func(t *testing.T, vm types.VMContext) {
		for _, b := range behaviours {
			t.Run(b.name, func(t *testing.T) {
				host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().
					WithVMContext(vm).WithPluginConfiguration([]byte(b.configuration)))
				defer reset()
				r := &rig{T: t, host: host, logged: map[string][]string{}}
				if _, compiled := vm.(proxytest.WasmVMContext); !compiled {
					r.clock = &clock
				}
				b.test(r)
				r.collect()
			})
		}
	})
}

// rig is one plugin in proxytest's proxy. Its clock is simulated in both modes:
// natively it is the clock here, and the compiled module reads wazero's, which advances
// by 1 ms at each read.
// https://github.com/tetratelabs/wazero/blob/main/internal/platform/time.go
type rig struct {
	*testing.T
	host   proxytest.HostEmulator
	clock  *time.Time          // nil in compiled mode
	logged map[string][]string // so far, by level
}

// start starts the plugin.
func (r *rig) start() {
	r.Helper()
	if r.host.StartPlugin() != types.OnPluginStartStatusOK {
		r.Fatalf("the plugin did not start: %q", r.host.GetCriticalLogs())
	}
}

// calls returns the requests for a token so far.
func (r *rig) calls() []proxytest.HttpCalloutAttribute {
	return r.host.GetCalloutAttributesFromContext(proxytest.PluginContextID)
}

// tick advances the time to the next tick.
func (r *rig) tick() {
	if r.clock != nil {
		*r.clock = r.clock.Add(time.Duration(r.host.GetTickPeriod()) * time.Millisecond)
	}
	r.host.Tick()
}

// call ticks until there is another request for a token, and returns its id.
func (r *rig) call() uint32 {
	r.Helper()
	before := len(r.calls())
	for range 100_000 { // 100 s in compiled mode
		r.tick()
		if calls := r.calls(); len(calls) > before {
			return calls[before].CalloutID
		}
	}
	r.Fatal("no request for a token")
	return 0
}

// answer answers a request with headers, given as name and value in turn.
func (r *rig) answer(id uint32, headers ...string) {
	r.Helper()
	r.host.CallOnHttpCallResponse(id, pairs(headers...), nil, nil)
	r.collect()
}

func pairs(s ...string) (out [][2]string) {
	for i := 0; i < len(s); i += 2 {
		out = append(out, [2]string{s[i], s[i+1]})
	}
	return out
}

// collect copies what was logged since its last call, and searches it for tokens. Call
// it after every callback that logs something, because the compiled module may reuse
// the memory.
func (r *rig) collect() {
	r.Helper()
	for level, logs := range map[string][]string{
		"debug": r.host.GetDebugLogs(), "info": r.host.GetInfoLogs(), "warn": r.host.GetWarnLogs(),
		"error": r.host.GetErrorLogs(), "critical": r.host.GetCriticalLogs(),
	} {
		for _, message := range logs[len(r.logged[level]):] {
			r.logged[level] = append(r.logged[level], strings.Clone(message))
			if strings.Contains(message, "secret") {
				r.Errorf("a token was logged: %q", message)
			}
		}
	}
}

// wantLogged checks all that was logged at a level so far.
func (r *rig) wantLogged(level string, want ...string) {
	r.Helper()
	if got := r.logged[level]; !slices.Equal(got, want) {
		r.Errorf("logged at level %s %q\nwant %q", level, got, want)
	}
}

// stopwatch returns a function that says how much time has passed, if it can: the
// compiled module's clock cannot be read from here.
func (r *rig) stopwatch() func() (time.Duration, bool) {
	if r.clock == nil {
		return func() (time.Duration, bool) { return 0, false }
	}
	start := *r.clock
	return func() (time.Duration, bool) { return r.clock.Sub(start), true }
}

// exchange sends a request and its response through the filter and returns what
// became of them.
func (r *rig) exchange(request, response [][2]string) (_, _ [][2]string) {
	r.Helper()
	id := r.host.InitializeHttpContext()
	defer r.host.CompleteHttpContext(id)
	if a := r.host.CallOnRequestHeaders(id, request, true); a != types.ActionContinue {
		r.Errorf("the request is held with action %d", a)
	}
	request = clone(r.host.GetCurrentRequestHeaders(id))
	if a := r.host.CallOnResponseHeaders(id, response, true); a != types.ActionContinue {
		r.Errorf("the response is held with action %d", a)
	}
	return request, clone(r.host.GetCurrentResponseHeaders(id))
}

func clone(headers [][2]string) (out [][2]string) {
	for _, h := range headers {
		out = append(out, [2]string{strings.Clone(h[0]), strings.Clone(h[1])})
	}
	return out
}

// wantTokens sends an exchange that carries no x-auth and checks with which token
// each half comes out, "" for none.
func (r *rig) wantTokens(request, response string) {
	r.Helper()
	gotRequest, gotResponse := r.exchange(pairs(":method", "GET", ":path", "/"), pairs(":status", "200"))
	r.wantHeader("request", gotRequest, "x-auth", request)
	r.wantHeader("response", gotResponse, "x-auth", response)
}

// wantHeader checks the value of a header that is there once, or, if want is "",
// that it is not there.
func (r *rig) wantHeader(where string, headers [][2]string, name, want string) {
	r.Helper()
	var got []string
	for _, h := range headers {
		if h[0] == name {
			got = append(got, h[1])
		}
	}
	if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
		r.Errorf("%s: %s is %q, want %q", where, name, got, want)
	}
}

// wantCounters checks how many fetches worked and failed.
func (r *rig) wantCounters(worked, failed uint64) {
	r.Helper()
	for name, want := range map[string]uint64{"authtoken_refresh_success": worked, "authtoken_refresh_failure": failed} {
		if got, err := r.host.GetCounterMetric(name); err != nil || got != want {
			r.Errorf("%s is %d (%v), want %d", name, got, err, want)
		}
	}
}

// proxytest does not record a call's timeout, so this test looks at the filter's own.
func TestTimeout(t *testing.T) {
	_, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption())
	defer reset()
	c, err := parseConfig([]byte(`{"timeout": "1.5s"}`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProxy(c, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if p.timeoutMillis != 1500 {
		t.Errorf("a timeout of 1.5s is %d ms", p.timeoutMillis)
	}
}

func testFirstFetch(r *rig) {
	r.start()
	if n := len(r.calls()); n != 0 {
		r.Errorf("%d requests for a token before the first tick", n)
	}
	if p := r.host.GetTickPeriod(); p != 1 {
		r.Errorf("the first tick comes after %d ms, want 1", p)
	}
	r.wantTokens("", "")
	id := r.call()
	call := r.calls()[0]
	want := pairs(":method", "GET", ":path", "/auth", ":authority", "some_authority", "accept", "*/*")
	if call.Upstream != "my_custom_svc" || !slices.Equal(call.Headers, want) || len(call.Body) > 0 || len(call.Trailers) > 0 {
		r.Errorf("asked cluster %q with %q, body %q, trailers %q", call.Upstream, call.Headers, call.Body, call.Trailers)
	}
	if p := r.host.GetTickPeriod(); p != 1000 {
		r.Errorf("then a tick comes after %d ms, want 1000", p)
	}
	r.wantTokens("", "")
	r.wantCounters(0, 0)
	r.answer(id, ":status", "200", "authorization", "secret 1")
	r.wantTokens("", "secret 1")
	r.wantCounters(1, 0)
	r.wantLogged("info", `authtoken: got the first token from cluster "my_custom_svc"`)
	r.wantLogged("warn")
	r.wantLogged("error")
}

func testFetchAsConfigured(r *rig) {
	r.start()
	id := r.call()
	call := r.calls()[0]
	want := pairs(":method", "POST", ":path", "/p?q", ":authority", "a:1", "x-a", "1", "x-a", "2")
	if call.Upstream != "c" || !slices.Equal(call.Headers, want) {
		r.Errorf("asked cluster %q with %q", call.Upstream, call.Headers)
	}
	r.answer(id, ":status", "204", "authorization", "wrong", "X-Token", "secret")
	request, response := r.exchange(pairs(":path", "/"), pairs(":status", "200"))
	if want := pairs(":path", "/", "x-out", "secret"); !slices.Equal(request, want) {
		r.Errorf("request %q, want %q", request, want)
	}
	if want := pairs(":status", "200", "x-out", "secret"); !slices.Equal(response, want) {
		r.Errorf("response %q, want %q", response, want)
	}
}

// A client's or upstream's own value of the injected header never gets through. Where
// nothing is injected, nothing is touched.
func injectBehaviours() (out []behaviour) {
	for _, tc := range []struct {
		on                string
		request, response [2]string // without a token, and with one
	}{
		{"response", [2]string{"theirs", "theirs"}, [2]string{"", "secret"}},
		{"request", [2]string{"", "secret"}, [2]string{"theirs", "theirs"}},
		{"both", [2]string{"", "secret"}, [2]string{"", "secret"}},
	} {
		out = append(out, behaviour{"inject on " + tc.on, `{"inject": {"on": "` + tc.on + `"}}`, func(r *rig) {
			r.start()
			for i, have := range []string{"no token", "a token"} {
				if have == "a token" {
					r.answer(r.call(), ":status", "200", "authorization", "secret")
				}
				request, response := r.exchange(pairs(":path", "/", "X-Auth", "theirs", "a", "b"),
					pairs(":status", "200", "X-Auth", "theirs", "a", "b"))
				r.wantHeader("request with "+have, request, "x-auth", tc.request[i])
				r.wantHeader("response with "+have, response, "x-auth", tc.response[i])
				r.wantHeader("request", request, "a", "b")
				r.wantHeader("response", response, "a", "b")
			}
		}})
	}
	return out
}

func testStatic(r *rig) {
	r.start()
	request, response := r.exchange(pairs(":path", "/", "x-a", "theirs"), pairs(":status", "200", "x-a", "theirs", "x-b", "theirs"))
	if want := pairs(":path", "/", "x-a", "theirs"); !slices.Equal(request, want) {
		r.Errorf("request %q, want %q", request, want)
	}
	if want := pairs(":status", "200", "x-a", "1", "x-b", ""); !slices.Equal(response, want) {
		r.Errorf("response %q, want %q", response, want)
	}
}

func testDefaultStatic(r *rig) {
	r.start()
	_, response := r.exchange(pairs(":path", "/"), pairs(":status", "200"))
	r.wantHeader("response", response, "x-wasm-filter", "hello from wasm")
}

func testRefresh(r *rig) {
	r.start()
	r.answer(r.call(), ":status", "200", "authorization", "secret 1")
	passed := r.stopwatch()
	id := r.call()
	if got, ok := passed(); ok && got != time.Second {
		r.Errorf("asked again after %v, want 1s", got)
	}
	r.wantTokens("", "secret 1")
	r.answer(id, ":status", "200", "authorization", "secret 2")
	r.wantTokens("", "secret 2")
	r.wantCounters(2, 0)
	if r.clock != nil {
		*r.clock = r.clock.Add(time.Second - time.Microsecond)
		r.host.Tick()
		if p := r.host.GetTickPeriod(); p != 1 {
			r.Errorf("1 µs before it is time, the next tick comes after %d ms, want 1 (0 is never)", p)
		}
	}
	r.wantLogged("info", `authtoken: got the first token from cluster "my_custom_svc"`)
}

func testFailures(r *rig) {
	r.start()
	// Before the first token.
	r.answer(r.call(), ":status", "503", "authorization", "secret 0")
	r.wantTokens("", "")
	first := `authtoken: no token from cluster "my_custom_svc": status "503" instead of 2xx; none is sent until a fetch works, tried again after 1s, 2s, 4s and so on up to the interval`
	r.wantLogged("warn", first)
	r.wantLogged("debug")
	r.answer(r.call())
	r.wantLogged("warn", first)
	r.wantLogged("debug", `authtoken: still no new token from cluster "my_custom_svc": no answer: the connection broke or the answer took longer than the timeout`)
	r.wantLogged("info")
	r.wantCounters(0, 2)

	r.answer(r.call(), ":status", "200", "authorization", "secret 1")
	r.wantTokens("", "secret 1")
	again := `authtoken: cluster "my_custom_svc" gives tokens again, failed fetches in between: 2`
	r.wantLogged("info", again)
	r.wantCounters(1, 2)

	// After it. Answers come at once, so the time between two calls is the pause.
	for i, pause := range []time.Duration{3e9, 1e9, 2e9, 3e9, 3e9} {
		passed := r.stopwatch()
		r.answer(r.call(), ":status", "401")
		if got, ok := passed(); ok && got != pause {
			r.Errorf("asked %v after failure %d, want %v", got, i, pause)
		}
		r.wantTokens("", "secret 1")
	}
	r.wantLogged("warn", first,
		`authtoken: no new token from cluster "my_custom_svc": status "401" instead of 2xx; the last one is sent until a fetch works, tried again after 1s, 2s, 4s and so on up to the interval`)
	r.answer(r.call(), ":status", "200", "authorization", "secret 2")
	r.wantTokens("", "secret 2")
	r.wantLogged("info", again, `authtoken: cluster "my_custom_svc" gives tokens again, failed fetches in between: 5`)
	r.wantCounters(2, 7)
}

func unusableAnswers() (out []behaviour) {
	for _, tc := range []struct {
		name, problem string
		headers       []string
	}{
		{"without status", `status "" instead of 2xx`, []string{"authorization", "secret"}},
		{"informational", `status "101" instead of 2xx`, []string{":status", "101", "authorization", "secret"}},
		{"redirect", `status "302" instead of 2xx`, []string{":status", "302", "authorization", "secret"}},
		{"not found", `status "404" instead of 2xx`, []string{":status", "404", "authorization", "secret"}},
		{"without the header", `the answer has no header "authorization"`, []string{":status", "200", "x-authorization", "secret"}},
		{"with an empty header", `the header "authorization" of the answer is empty`, []string{":status", "200", "authorization", ""}},
		{"with two headers", `the answer has the header "authorization" more than once`, []string{":status", "200", "authorization", "secret", "authorization", "secret"}},
		{"too long", `the header "authorization" of the answer is longer than 8192 bytes`, []string{":status", "200", "authorization", strings.Repeat("secret..", 1024) + "."}},
		{"with a line break", `the header "authorization" of the answer holds what no header may`, []string{":status", "200", "authorization", "secret\r\nx: y"}},
		{"with NUL", `the header "authorization" of the answer holds what no header may`, []string{":status", "200", "authorization", "secret\x00"}},
	} {
		out = append(out, behaviour{"answer " + tc.name, ``, func(r *rig) {
			r.start()
			r.answer(r.call(), tc.headers...)
			r.wantTokens("", "")
			r.wantCounters(0, 1)
			r.wantLogged("warn", `authtoken: no token from cluster "my_custom_svc": `+tc.problem+
				`; none is sent until a fetch works, tried again after 1s, 2s, 4s and so on up to the interval`)
		}})
	}
	return out
}

func usableAnswers() (out []behaviour) {
	for _, tc := range []struct {
		name, token string
		headers     []string
	}{
		{"no content", "Bearer secret", []string{":status", "204", "authorization", "Bearer secret"}},
		{"highest status", "secret", []string{":status", "299", "Authorization", "secret"}},
		{"longest token", strings.Repeat("secret..", 1024), []string{":status", "200", "authorization", strings.Repeat("secret..", 1024)}},
		{"bytes beyond ASCII", "secret \xff", []string{":status", "200", "authorization", "secret \xff"}},
	} {
		out = append(out, behaviour{"answer " + tc.name, ``, func(r *rig) {
			r.start()
			r.answer(r.call(), tc.headers...)
			r.wantTokens("", tc.token)
			r.wantCounters(1, 0)
		}})
	}
	return out
}

// A plugin that is started again, as by a reload of the configuration, finds the
// token of the one before it, and does not fetch before it is time to.
func testReload(r *rig) {
	r.start()
	r.answer(r.call(), ":status", "200", "authorization", "secret")
	r.start()
	r.wantTokens("", "secret")
	for range 5 {
		r.tick()
	}
	if n := len(r.calls()); n != 1 {
		r.Errorf("%d requests for a token, want 1", n)
	}
}

// A plugin that goes away while it fetches leaves the next one free to fetch.
func testDone(r *rig) {
	r.start()
	r.call()
	r.tick()
	if n := len(r.calls()); n != 1 {
		r.Fatalf("%d requests for a token, want 1", n)
	}
	if !r.host.FinishVM() {
		r.Error("the plugin is not done")
	}
	r.tick()
	if n := len(r.calls()); n != 2 {
		r.Errorf("%d requests for a token, want 2", n)
	}
}

func testBadConfiguration(r *rig) {
	if r.host.StartPlugin() != types.OnPluginStartStatusFailed {
		r.Error("the plugin started")
	}
	r.collect()
	r.wantLogged("critical", `authtoken: plugin configuration: interval: 15 has no unit; write "15s" for seconds`)
	// With fail-open, a proxy may still create streams.
	id := r.host.InitializeHttpContext()
	r.host.CallOnRequestHeaders(id, [][2]string{{":path", "/"}}, true)
	r.host.CallOnResponseHeaders(id, [][2]string{{":status", "200"}}, true)
	if headers := r.host.GetCurrentResponseHeaders(id); len(headers) != 1 {
		r.Errorf("response headers are %q", headers)
	}
	r.host.CompleteHttpContext(id)
	if !r.host.FinishVM() {
		r.Error("the plugin is not done")
	}
}
