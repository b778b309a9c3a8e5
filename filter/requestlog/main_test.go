package main

import (
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/vmtest"
)

// TestFilter runs all on one VM of each kind, since starting one takes seconds.
func TestFilter(t *testing.T) {
	tests := []struct {
		name string
		test func(t *testing.T, vm types.VMContext)
	}{
		{"Stream", testStream},
		{"LaterChangesDoNotShow", testLaterChangesDoNotShow},
		{"WithoutResponse", testWithoutResponse},
		{"Headers", testHeaders},
		{"AnyBytes", testAnyBytes},
		{"Limit", testLimit},
		{"Direction", testDirection},
		{"Duration", testDuration},
		{"Status", testStatus},
		{"StreamsKeepApart", testStreamsKeepApart},
		{"BadConfiguration", testBadConfiguration},
	}
	vmtest.Run(t, "requestlog", func() types.VMContext { return &vmContext{} }, func(t *testing.T, vm types.VMContext) {
		for _, tc := range tests {
			t.Run(tc.name, func(t *testing.T) { tc.test(t, vm) })
		}
	})
}

// host is a proxy with the filter in it.
type host struct {
	proxytest.HostEmulator
	t *testing.T
}

// start starts the filter, which has to accept its configuration.
func start(t *testing.T, vm types.VMContext, opt *proxytest.EmulatorOption) *host {
	t.Helper()
	h, reset := proxytest.NewHostEmulator(opt.WithVMContext(vm))
	t.Cleanup(reset)
	if h.StartVM() != types.OnVMStartStatusOK {
		t.Fatalf("the VM does not start: %q", h.GetCriticalLogs())
	}
	if h.StartPlugin() != types.OnPluginStartStatusOK {
		t.Fatalf("the plugin does not start: %q", h.GetCriticalLogs())
	}
	return &host{h, t}
}

func options(plugin string) *proxytest.EmulatorOption {
	return proxytest.NewEmulatorOption().WithPluginConfiguration([]byte(plugin))
}

// request opens a stream.
func (h *host) request(headers ...[2]string) (id uint32) {
	h.t.Helper()
	id = h.InitializeHttpContext()
	if action := h.CallOnRequestHeaders(id, headers, false); action != types.ActionContinue {
		h.t.Fatalf("request headers: action %v", action)
	}
	return id
}

// respond answers a stream.
func (h *host) respond(id uint32, status string) {
	h.t.Helper()
	if action := h.CallOnResponseHeaders(id, [][2]string{{":status", status}, {"set-cookie", "response-secret"}}, false); action != types.ActionContinue {
		h.t.Fatalf("response headers: action %v", action)
	}
}

// done ends a stream and returns the one line it logged, without the stream's id,
// which has to be there.
func (h *host) done(id uint32) string {
	h.t.Helper()
	before := len(h.GetInfoLogs())
	h.CompleteHttpContext(id)
	lines := h.GetInfoLogs()[before:]
	if len(lines) != 1 {
		h.t.Fatalf("%d lines at info level, want 1: %q", len(lines), lines)
	}
	want := `"stream_id":` + strconv.FormatUint(uint64(id), 10)
	// The emulator's string shares memory with the filter: Replace copies it.
	line := strings.Replace(lines[0], want, `"stream_id":ID`, 1)
	if line == lines[0] {
		h.t.Fatalf("no %s in %s", want, line)
	}
	return line
}

// only runs a request without response and returns its line.
func (h *host) only(headers ...[2]string) string {
	h.t.Helper()
	return h.done(h.request(headers...))
}

func (h *host) setInt64(n int64, path ...string) {
	h.t.Helper()
	if err := h.SetProperty(path, binary.LittleEndian.AppendUint64(nil, uint64(n))); err != nil {
		h.t.Fatal(err)
	}
}

func check(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func testStream(t *testing.T, vm types.VMContext) {
	h := start(t, vm, options("").WithVMConfiguration([]byte(`{"direction":"in"}`)))
	id := h.request(
		[2]string{":method", "POST"}, [2]string{":scheme", "https"},
		[2]string{":authority", "shop.example"}, [2]string{":path", "/cart?id=3"},
		[2]string{"accept", "*/*"}, [2]string{"via", "1.1 a"},
		[2]string{"authorization", "Bearer secret"}, [2]string{"proxy-authorization", "secret"},
		[2]string{"cookie", "a=secret"}, [2]string{"cookie", "b=secret"},
		[2]string{"set-cookie", "secret"}, [2]string{"x-auth", "secret"},
		[2]string{"via", "1.1 b"}, [2]string{"x-empty", ""})
	for _, chunk := range []string{"twelve bytes", "five!", ""} {
		if h.CallOnRequestBody(id, []byte(chunk), chunk == "") != types.ActionContinue {
			t.Fatal("the request body is held back")
		}
	}
	if h.CallOnRequestTrailers(id, [][2]string{{"x-checksum", "1"}}) != types.ActionContinue {
		t.Fatal("the request trailers are held back")
	}
	h.respond(id, "201")
	for _, chunk := range []string{"1234567", "89"} {
		if h.CallOnResponseBody(id, []byte(chunk), false) != types.ActionContinue {
			t.Fatal("the response body is held back")
		}
	}
	if h.CallOnResponseTrailers(id, [][2]string{{"grpc-status", "0"}}) != types.ActionContinue {
		t.Fatal("the response trailers are held back")
	}
	if logs := h.GetInfoLogs(); len(logs) != 0 {
		t.Errorf("logged before the end: %q", logs)
	}
	h.setInt64(3_207_999, "request", "duration")
	check(t, h.done(id), `{"direction":"in","stream_id":ID,"method":"POST","authority":"shop.example","path":"/cart?id=3",`+
		`"request_headers":{"accept":"*/*","via":["1.1 a","1.1 b"],`+
		`"authorization":"[redacted]","proxy-authorization":"[redacted]","cookie":["[redacted]","[redacted]"],`+
		`"set-cookie":"[redacted]","x-auth":"[redacted]","x-empty":""},`+
		`"status":201,"request_bytes":17,"response_bytes":9,"duration_ms":3.207}`)
}

// The line shows the request as it came in, not as later filters left it.
func testLaterChangesDoNotShow(t *testing.T, vm types.VMContext) {
	h := start(t, vm, options(""))
	id := h.InitializeHttpContext()
	headers := [][2]string{{":path", "/before"}, {"x-token", "aaaaaa"}}
	h.CallOnRequestHeaders(id, headers, true)
	// The emulator has no later filters; what they do is change its header map.
	current := h.GetCurrentRequestHeaders(id)
	current[0][1], current[1][1] = "/after", "bbbbbb"
	check(t, h.done(id), `{"stream_id":ID,"path":"/before","request_headers":{"x-token":"aaaaaa"},"request_bytes":0,"response_bytes":0}`)
}

func testWithoutResponse(t *testing.T, vm types.VMContext) {
	h := start(t, vm, options(`{"headers":"none"}`))
	t.Run("reset by the client", func(t *testing.T) {
		id := h.request([2]string{":method", "PUT"}, [2]string{":path", "/upload"})
		h.CallOnRequestBody(id, []byte("half"), false)
		check(t, h.done(id), `{"stream_id":ID,"method":"PUT","path":"/upload","request_bytes":4,"response_bytes":0}`)
	})
	t.Run("answered before this filter", func(t *testing.T) {
		check(t, h.done(h.InitializeHttpContext()), `{"stream_id":ID}`)
	})
}

func testHeaders(t *testing.T, vm types.VMContext) {
	request := [][2]string{{":path", "/"}, {"user-agent", "curl"}, {"x-auth", "secret"}, {"content-length", "0"}}
	tests := []struct{ name, configuration, want string }{
		{"nothing", ``, `"request_headers":{"user-agent":"curl","x-auth":"[redacted]","content-length":"0"},`},
		{"empty object", `{}`, `"request_headers":{"user-agent":"curl","x-auth":"[redacted]","content-length":"0"},`},
		{"all", `{"headers":"all"}`, `"request_headers":{"user-agent":"curl","x-auth":"[redacted]","content-length":"0"},`},
		{"none", `{"headers":"none"}`, ``},
		{"list", `{"headers":["X-Auth","Content-Length","x-absent"]}`, `"request_headers":{"x-auth":"[redacted]","content-length":"0"},`},
		{"none of the list is there", `{"headers":["x-absent"]}`, `"request_headers":{},`},
		{"empty list", `{"headers":[]}`, ``},
		{"redact nothing", `{"redact":[]}`, `"request_headers":{"user-agent":"curl","x-auth":"secret","content-length":"0"},`},
		{"redact another", `{"redact":["User-Agent"]}`, `"request_headers":{"user-agent":"[redacted]","x-auth":"secret","content-length":"0"},`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, vm, options(tc.configuration))
			check(t, h.only(request...), `{"stream_id":ID,"path":"/",`+tc.want+`"request_bytes":0,"response_bytes":0}`)
		})
	}
}

func testAnyBytes(t *testing.T, vm types.VMContext) {
	h := start(t, vm, options(""))
	line := h.only([2]string{":method", "\x00GET"}, [2]string{":path", "/\"\\\r\n\x1b[31m\x7f"},
		[2]string{"x\"y", "\xff\xfe\xc3"}, [2]string{"x-utf8", "grüße 漢 🙂"},
		[2]string{"x-c1", "\u0085\u009b31m"}, [2]string{"x-separators", "\u2028\u2029"},
		[2]string{"x-replacement", "\ufffd"})
	check(t, line, `{"stream_id":ID,"method":"\u0000GET","path":"/\"\\\u000d\u000a\u001b[31m\u007f",`+
		`"request_headers":{"x\"y":"\ufffd\ufffd\ufffd","x-utf8":"grüße 漢 🙂","x-c1":"\u0085\u009b31m","x-separators":"\u2028\u2029",`+
		"\"x-replacement\":\"\ufffd\"},"+
		`"request_bytes":0,"response_bytes":0}`)
}

func testLimit(t *testing.T, vm types.VMContext) {
	long := strings.Repeat("0123456789", 10_000)
	for _, tc := range []struct {
		name, configuration string
		limit               int
	}{
		{"default", `{}`, 8192},
		{"configured", `{"max_line_bytes":1024}`, 1024},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, vm, options(tc.configuration))
			id := h.request([2]string{":method", "M" + long}, [2]string{":authority", "a" + long}, [2]string{":path", "/" + long},
				[2]string{"x-long", long}, [2]string{"x-short", "1"}, [2]string{"x-twice", "1"}, [2]string{"x-twice", long})
			h.respond(id, "431")
			h.setInt64(1, "request", "duration")
			line := h.done(id)
			var got struct {
				Method, Authority, Path string
				Headers                 map[string]any `json:"request_headers"`
				Status                  int
				Duration                float64 `json:"duration_ms"`
				Truncated               bool
			}
			if err := json.Unmarshal([]byte(strings.Replace(line, "ID", "1", 1)), &got); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if len(line) > tc.limit {
				t.Errorf("%d bytes, want at most %d: %s", len(line), tc.limit, line)
			}
			for _, field := range []struct{ name, value, start string }{
				{"method", got.Method, "M0123"}, {"authority", got.Authority, "a0123"}, {"path", got.Path, "/0123"},
			} {
				if !strings.HasPrefix(field.value, field.start) || !strings.HasSuffix(field.value, "…") {
					t.Errorf("%s is %q, want the start of it and a mark", field.name, field.value)
				}
			}
			if len(got.Headers) != 1 || got.Headers["x-short"] != "1" {
				t.Errorf("headers %v, want the one that fits", got.Headers)
			}
			if got.Status != 431 || got.Duration != 0 || !got.Truncated {
				t.Errorf("the end is not whole: %s", line)
			}
		})
	}
}

func testDirection(t *testing.T, vm types.VMContext) {
	const in, out, none = `{"direction":"in","stream_id":ID}`, `{"direction":"out","stream_id":ID}`, `{"stream_id":ID}`
	property := func(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }
	tests := []struct {
		name, vm string
		property []byte
		want     string
	}{
		{"nothing is known", ``, nil, none},
		{"VM configuration in", `{"direction":"in"}`, nil, in},
		{"VM configuration out", `{"direction":"out"}`, nil, out},
		{"VM configuration empty", `{}`, property(2), out},
		{"VM configuration before listener", `{"direction":"in"}`, property(2), in},
		{"listener inbound", ``, property(1), in},
		{"listener outbound", ``, property(2), out},
		{"listener unspecified", ``, property(0), none},
		{"listener unheard of", ``, property(7), none},
		{"listener in another encoding", ``, []byte{1}, none},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			opt := options("").WithVMConfiguration([]byte(tc.vm))
			if tc.property != nil {
				opt.WithProperty([]string{"xds", "listener_direction"}, tc.property)
			}
			h := start(t, vm, opt)
			check(t, h.done(h.InitializeHttpContext()), tc.want)
		})
	}
	t.Run("asked until known", func(t *testing.T) {
		h := start(t, vm, options(""))
		check(t, h.done(h.InitializeHttpContext()), none)
		h.setInt64(2, "xds", "listener_direction")
		check(t, h.done(h.InitializeHttpContext()), out)
		h.setInt64(1, "xds", "listener_direction")
		check(t, h.done(h.InitializeHttpContext()), out)
	})
}

func testDuration(t *testing.T, vm types.VMContext) {
	h := start(t, vm, options(""))
	for _, tc := range []struct {
		ns   int64
		want string
	}{
		{-1, ``},
		{0, `,"duration_ms":0.000`},
		{999, `,"duration_ms":0.000`},
		{1_000, `,"duration_ms":0.001`},
		{15_020_000, `,"duration_ms":15.020`},
		{3_600_000_400_000, `,"duration_ms":3600000.400`},
		{1<<63 - 1, `,"duration_ms":9223372036854.775`},
	} {
		h.setInt64(tc.ns, "request", "duration")
		check(t, h.done(h.InitializeHttpContext()), `{"stream_id":ID`+tc.want+`}`)
	}
}

func testStatus(t *testing.T, vm types.VMContext) {
	h := start(t, vm, options(""))
	for status, want := range map[string]string{
		"100": `"status":100,`, "999": `"status":999,`,
		"099": ``, "20": ``, "2000": ``, "2x0": ``, "20x": ``, `1,"`: ``,
	} {
		id := h.request()
		h.respond(id, status)
		check(t, h.done(id), `{"stream_id":ID,`+want+`"request_bytes":0,"response_bytes":0}`)
	}
}

// More streams run at the same time than buffers are kept, again and again. No line may
// hold a part of another.
func testStreamsKeepApart(t *testing.T, vm types.VMContext) {
	h := start(t, vm, options(""))
	for round := 0; round < 3; round++ {
		var ids []uint32
		for i := 0; i < 2*maxFree; i++ {
			ids = append(ids, h.request([2]string{":path", "/" + strings.Repeat(strconv.Itoa(i%10), 1+i*round)}))
		}
		for i, id := range ids {
			h.CallOnRequestBody(id, make([]byte, i), true)
			check(t, h.done(id), `{"stream_id":ID,"path":"/`+strings.Repeat(strconv.Itoa(i%10), 1+i*round)+`",`+
				`"request_headers":{},"request_bytes":`+strconv.Itoa(i)+`,"response_bytes":0}`)
		}
	}
}

// The last stream given back is the first one taken. It keeps its buffer and nothing
// else. No more than maxFree are kept.
func TestFreeStreams(t *testing.T) {
	t.Parallel()
	p := &plugin{}
	var given []*stream
	for i := 0; i <= maxFree; i++ {
		s := p.takeStream(uint32(i))
		s.begun, s.requestBytes, s.responseBytes = true, 1, 2
		s.line = line{buf: append(make([]byte, 0, 100+i), "text"...), limit: 3, cut: true}
		given = append(given, s)
	}
	for _, s := range given {
		p.giveStream(s)
	}
	for i := maxFree - 1; i >= 0; i-- {
		s := p.takeStream(7)
		if s != given[i] {
			t.Fatalf("took another stream than the one given as number %d", i)
		}
		if s.id != 7 || s.plugin != p || s.begun || s.requestBytes+s.responseBytes > 0 || s.line.cut || len(s.line.buf) > 0 {
			t.Fatalf("something of the stream before is left: %+v", s)
		}
		if cap(s.line.buf) != 100+i {
			t.Fatalf("its buffer has room for %d bytes, want %d", cap(s.line.buf), 100+i)
		}
	}
	if s := p.takeStream(8); s == given[maxFree] || s.line.buf != nil {
		t.Error("took a stream that should not have been kept")
	}
}

func testBadConfiguration(t *testing.T, vm types.VMContext) {
	tests := []struct{ name, vm, plugin, want string }{
		{"headers is no choice", ``, `{"headers":"some"}`,
			`plugin configuration: headers: "some" is none of the choices; write "all", "none" or an array of header names such as ["some"]`},
		{"headers is a boolean", ``, `{"headers":true}`,
			`plugin configuration: headers: want a string or an array of strings, got true; write "true"`},
		{"headers has a number", ``, `{"headers":["x-a",1]}`,
			`plugin configuration: headers[1]: want a string, got 1; write "1"`},
		{"headers has a pseudo header", ``, `{"headers":["x-a",":path"]}`,
			`plugin configuration: headers[1]: ":path" is a pseudo header; leave it out: method, authority and path are always logged`},
		{"headers has host", ``, `{"headers":["Host"]}`,
			`plugin configuration: headers[0]: "Host" is the pseudo header :authority in the proxy; leave it out: authority is always logged`},
		{"headers has a space", ``, `{"headers":["x a"]}`,
			`plugin configuration: headers[0]: "x a" is not a header name; use letters, digits and -`},
		{"headers has nothing", ``, `{"headers":[""]}`,
			`plugin configuration: headers[0]: "" is not a header name; use letters, digits and -`},
		{"redact has a line break", ``, `{"redact":["x\r\ny"]}`,
			`plugin configuration: redact[0]: "x\x0d\x0ay" is not a header name; use letters, digits and -`},
		{"redact has a pseudo header", ``, `{"redact":[":authority"]}`,
			`plugin configuration: redact[0]: ":authority" is a pseudo header; leave it out: method, authority and path are always logged`},
		{"redact is a string", ``, `{"redact":"x-auth"}`,
			`plugin configuration: redact: want an array, got the string "x-auth"`},
		{"limit too low", ``, `{"max_line_bytes":1023}`,
			`plugin configuration: max_line_bytes: 1023 does not fit; write a whole number from 1024 to 65536`},
		{"limit too high", ``, `{"max_line_bytes":65537}`,
			`plugin configuration: max_line_bytes: 65537 does not fit; write a whole number from 1024 to 65536`},
		{"limit is a string", ``, `{"max_line_bytes":"8192"}`,
			`plugin configuration: max_line_bytes: the string "8192" does not fit; write a whole number from 1024 to 65536`},
		{"unknown field", ``, `{"header":"all"}`,
			`plugin configuration: unknown field "header": did you mean "headers"?`},
		{"cut off", ``, `{"headers":"all"`,
			`plugin configuration: line 1, column 17: unexpected end of the configuration after field "headers"; put a comma or a closing }`},
		{"an array", ``, `[]`,
			`plugin configuration: line 1, column 1: the configuration is not a JSON object; put the fields between { and }`},
		{"no JSON", ``, `all`,
			`plugin configuration: line 1, column 1: the configuration is not a JSON object; put the fields between { and }`},
		{"VM: direction is no choice", `{"direction":"inbound"}`, ``,
			`VM configuration: direction: "inbound" is none of the choices; write "in" or "out"`},
		{"VM: direction is a number", `{"direction":1}`, ``,
			`VM configuration: direction: want a string, got 1; write "1"`},
		{"VM: unknown field", `{"dir":"in"}`, ``,
			`VM configuration: unknown field "dir"; write "direction", or remove it`},
		{"VM: no JSON", `in`, ``,
			`VM configuration: line 1, column 1: the configuration is not a JSON object; put the fields between { and }`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			h, reset := proxytest.NewHostEmulator(options(tc.plugin).WithVMConfiguration([]byte(tc.vm)).WithVMContext(vm))
			defer reset()
			started := h.StartVM() == types.OnVMStartStatusOK
			if started != (tc.vm == "") {
				t.Errorf("VM started: %v", started)
			}
			if started && h.StartPlugin() != types.OnPluginStartStatusFailed {
				t.Error("the plugin started")
			}
			logs := h.GetCriticalLogs()
			if len(logs) != 1 {
				t.Fatalf("%d lines, want 1: %q", len(logs), logs)
			}
			check(t, logs[0], "requestlog: "+tc.want)
			if started { // and fails open: a proxy may make streams all the same
				id := h.InitializeHttpContext()
				h.CallOnRequestHeaders(id, [][2]string{{":path", "/"}}, true)
				h.CompleteHttpContext(id)
				if lines := h.GetInfoLogs(); len(lines) != 0 {
					t.Errorf("logged %q", lines)
				}
			}
		})
	}
}
