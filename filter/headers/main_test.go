package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/vmtest"
)

// TestFilter runs everything on one VM of each kind, because starting a module by the
// ordinary Go compiler takes seconds.
func TestFilter(t *testing.T) {
	vmtest.Run(t, "headers", func() types.VMContext { return &vmContext{} }, func(t *testing.T, vm types.VMContext) {
		for _, tc := range []struct {
			name string
			test func(t *testing.T, vm types.VMContext)
		}{
			{"Changes", testChanges},
			{"Count", testCount},
			{"DebugLog", testDebugLog},
			{"BadConfiguration", testBadConfiguration},
		} {
			t.Run(tc.name, func(t *testing.T) { tc.test(t, vm) })
		}
	})
}

type headers = [][2]string

// start starts the plugin, which has to accept the configuration.
func start(t *testing.T, vm types.VMContext, config string) proxytest.HostEmulator {
	t.Helper()
	host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().WithVMContext(vm).WithPluginConfiguration([]byte(config)))
	t.Cleanup(reset)
	if host.StartVM() != types.OnVMStartStatusOK || host.StartPlugin() != types.OnPluginStartStatusOK {
		t.Fatalf("the plugin does not start: %q", host.GetCriticalLogs())
	}
	return host
}

// clone makes headers independent of the module's memory.
func clone(h headers) headers {
	out := headers{}
	for _, p := range h {
		out = append(out, [2]string{strings.Clone(p[0]), strings.Clone(p[1])})
	}
	return out
}

func testChanges(t *testing.T, vm types.VMContext) {
	request := headers{{":path", "/"}, {"x-a", "1"}, {"x-b", "2"}}
	response := headers{{":status", "200"}, {"server", "s"}, {"x-a", "3"}}
	for _, tc := range []struct {
		name, config string
		request      headers
		response     headers
	}{
		{"none", ``, request, response},
		{"white space", " \n\t", request, response},
		{"empty object", `{}`, request, response},
		{"the example", `{"request": {"set": {"x-my-custom-header": "hello world"}}}`,
			append(clone(request), [2]string{"x-my-custom-header", "hello world"}), response},
		{"set replaces", `{"request": {"set": {"X-A": "new"}}, "response": {"set": {"server": "new"}}}`,
			headers{{":path", "/"}, {"x-a", "new"}, {"x-b", "2"}}, headers{{":status", "200"}, {"server", "new"}, {"x-a", "3"}}},
		{"set adds", `{"response": {"set": {"x-new": ""}}}`,
			request, append(clone(response), [2]string{"x-new", ""})},
		// proxytest, unlike a proxy, joins the values of a header without a separator.
		{"set several", `{"request": {"set": {"x-a": ["n", "e", "w"]}}}`,
			headers{{":path", "/"}, {"x-a", "new"}, {"x-b", "2"}}, response},
		{"add appends", `{"request": {"add": {"x-a": "+", "x-b": ["-", "*"]}}, "response": {"add": {"X-New": "n"}}}`,
			headers{{":path", "/"}, {"x-a", "1+"}, {"x-b", "2-*"}}, append(clone(response), [2]string{"x-new", "n"})},
		{"remove", `{"request": {"remove": ["X-A", "absent"]}, "response": {"remove": ["x-a", "server"]}}`,
			headers{{":path", "/"}, {"x-b", "2"}}, headers{{":status", "200"}}},
		{"remove, then set, then add", `{"request": {"add": {"x-a": "a", "x-b": "b"}, "set": {"x-b": "s"}, "remove": ["x-a"]}}`,
			headers{{":path", "/"}, {"x-b", "sb"}, {"x-a", "a"}}, response},
		{"lines", "# a comment\n\n  x-new = a=b # c  \r\n\tX-Other\t=\ty\t\n   # another\nserver=+\nx-empty=",
			request, headers{{":status", "200"}, {"server", "s+"}, {"x-a", "3"}, {"x-new", "a=b # c"}, {"x-other", "y"}, {"x-empty", ""}}},
		{"shortest line", "a=", request, append(clone(response), [2]string{"a", ""})},
		{"one line without end", "x-new=n", request, append(clone(response), [2]string{"x-new", "n"})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			host := start(t, vm, tc.config)
			id := host.InitializeHttpContext()
			if action := host.CallOnRequestHeaders(id, clone(request), true); action != types.ActionContinue {
				t.Errorf("request: action %v", action)
			}
			if got := host.GetCurrentRequestHeaders(id); !reflect.DeepEqual(got, tc.request) {
				t.Errorf("request\ngot  %q\nwant %q", got, tc.request)
			}
			if action := host.CallOnResponseHeaders(id, clone(response), true); action != types.ActionContinue {
				t.Errorf("response: action %v", action)
			}
			if got := host.GetCurrentResponseHeaders(id); !reflect.DeepEqual(got, tc.response) {
				t.Errorf("response\ngot  %q\nwant %q", got, tc.response)
			}
			host.CompleteHttpContext(id)
			if logs := host.GetErrorLogs(); len(logs) > 0 {
				t.Errorf("errors were logged: %q", logs)
			}
		})
	}
}

// Only a real proxy shows that an empty header counts: proxytest calls it absent.
func testCount(t *testing.T, vm types.VMContext) {
	for _, tc := range []struct {
		name, config, metric string
		requests             []headers
		want                 uint64
	}{
		{"default", ``, "hello_header_counter", []headers{{{"hello", "x"}}, {{"hell", "x"}, {"helloo", "x"}}, {{"Hello", "y"}}}, 2},
		{"with lines", `x-a=b`, "hello_header_counter", []headers{{{"hello", "x"}}}, 1},
		{"never", ``, "hello_header_counter", []headers{{{"x", "hello"}}}, 0},
		{"once for a request", ``, "hello_header_counter", []headers{{{"hello", "x"}, {"hello", "y"}}}, 1},
		{"other header", `{"count": {"header": "X-Debug"}}`, "hello_header_counter", []headers{{{"hello", "x"}}, {{"x-debug", "1"}}}, 1},
		{"other metric", `{"count": {"metric": "my_counter"}}`, "my_counter", []headers{{{"hello", "x"}}}, 1},
		{"before it is removed", `{"request": {"remove": ["hello"]}}`, "hello_header_counter", []headers{{{"hello", "x"}}}, 1},
		{"not when it is set here", `{"request": {"set": {"hello": "x"}}}`, "hello_header_counter", []headers{{{"x", "x"}}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			host := start(t, vm, tc.config)
			if got, err := host.GetCounterMetric(tc.metric); err != nil || got != 0 {
				t.Errorf("at the start the counter is %d (%v), want 0", got, err)
			}
			for _, request := range tc.requests {
				id := host.InitializeHttpContext()
				host.CallOnRequestHeaders(id, request, true)
				// The counter ignores a response that carries the header.
				host.CallOnResponseHeaders(id, headers{{"hello", "x"}}, true)
				host.CompleteHttpContext(id)
			}
			if got, err := host.GetCounterMetric(tc.metric); err != nil || got != tc.want {
				t.Errorf("the counter is %d (%v), want %d", got, err, tc.want)
			}
		})
	}
}

func testDebugLog(t *testing.T, vm types.VMContext) {
	request := headers{{":path", "/"}, {"authorization", "secret"}, {"x-a", "1, 2"}, {"x-empty", ""}}
	response := headers{{":status", "200"}, {"set-cookie", "secret"}, {"x-auth", "secret"}}
	// stream returns what one stream logs, copied before the module reuses the memory.
	stream := func(host proxytest.HostEmulator) (id uint32, logs []string) {
		seen := len(host.GetDebugLogs())
		note := func() {
			for _, line := range host.GetDebugLogs()[seen:] {
				seen++
				logs = append(logs, strings.Clone(line))
			}
		}
		id = host.InitializeHttpContext()
		host.CallOnRequestHeaders(id, request, true)
		note()
		host.CallOnResponseHeaders(id, response, true)
		note()
		host.CompleteHttpContext(id)
		note()
		return id, logs
	}
	t.Run("on", func(t *testing.T) {
		// What is logged is what came, not what the filter makes of it.
		host := start(t, vm, `{"request": {"set": {"x-a": "3"}}, "response": {"remove": ["x-auth"]}}`)
		for range 2 {
			id, got := stream(host)
			want := []string{
				fmt.Sprintf("context %d: request headers: [:path: /] [authorization: (redacted)] [x-a: 1, 2] [x-empty: ]", id),
				fmt.Sprintf("context %d: response headers: [:status: 200] [set-cookie: (redacted)] [x-auth: (redacted)]", id),
				fmt.Sprintf("context %d: stream done", id),
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		}
	})
	t.Run("off", func(t *testing.T) {
		host := start(t, vm, `{"debug_log": false}`)
		if _, got := stream(host); len(got) > 0 {
			t.Errorf("got %q", got)
		}
	})
}

func testBadConfiguration(t *testing.T, vm types.VMContext) {
	for config, want := range map[string]string{
		"x-a=b\nx-c":                              `headers: plugin configuration: line 2: "x-c" has no "="; write it as name=value, or put a # before a comment`,
		`{"response": {"set": {"te": "x"}}}`:      `headers: plugin configuration: response.set: header "te" belongs to one connection (hop-by-hop), which is the proxy's work; leave it out`,
		"{\"request\": {\"remove\": [\"x-a\",]}}": `headers: plugin configuration: line 1, column 31: a comma before ]; remove the comma`,
		`{"count": {"metric": "a\r\nb"}}`:         `headers: plugin configuration: count.metric: "a\x0d\x0ab" is not a metric name; use letters, digits and _, and no digit first`,
	} {
		host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().WithVMContext(vm).WithPluginConfiguration([]byte(config)))
		if status := host.StartPlugin(); status != types.OnPluginStartStatusFailed {
			t.Errorf("%q: the plugin starts", config)
		}
		if got := host.GetCriticalLogs(); !reflect.DeepEqual(got, []string{want}) {
			t.Errorf("%q\ngot  %q\nwant %q", config, got, want)
		}
		// If the host goes on regardless, the filter does nothing.
		id := host.InitializeHttpContext()
		request := headers{{":path", "/"}, {"hello", "x"}}
		host.CallOnRequestHeaders(id, clone(request), true)
		host.CallOnResponseHeaders(id, headers{{":status", "200"}}, true)
		if got := host.GetCurrentRequestHeaders(id); !reflect.DeepEqual(got, request) {
			t.Errorf("%q: the request is %q", config, got)
		}
		host.CompleteHttpContext(id)
		reset()
	}
}

// Applying the changes must not allocate, whatever the number of streams.
func TestApplyDoesNotAllocate(t *testing.T) {
	c, err := parseConfig([]byte(`{"request": {"remove": ["a"], "set": {"b": ["1", "2"]}, "add": {"C": "3"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	one := func(string) error { calls++; return nil }
	two := func(string, string) error { calls++; return nil }
	if n := testing.AllocsPerRun(100, func() { apply(c.request, one, two, two) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if want := 4 * 101; calls != want { // AllocsPerRun runs once to warm up
		t.Errorf("%d host calls, want %d", calls, want)
	}
}
