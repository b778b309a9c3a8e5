package play_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/embedded/httpstore"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/local"
	"github.com/slipway-wasm/slipway/deploy/scenario/play"
)

// options are those for two of Slipway's filters: requestlog logs, and authtoken calls a service.
func options(t *testing.T) local.Options {
	t.Helper()
	filters, err := catalog.Load(catalog.LoadOptions{Dir: "../../../filter", Names: []string{"authtoken", "requestlog"}})
	if err != nil {
		t.Fatal(err)
	}
	var built []build.Module
	if dist := os.Getenv("SLIPWAY_DIST"); dist != "" {
		built, err = build.Load(dist, catalog.NamesOf(filters))
	} else {
		built, err = build.Build(t.Context(), build.Options{Filters: filters, Dist: t.TempDir()})
	}
	if err != nil {
		t.Fatal(err)
	}
	storage, err := httpstore.Serve(httpstore.ServeOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := storage.Close(); err != nil {
			t.Error(err)
		}
	})
	binary, err := envoy.Find(t.Context(), envoy.FindOptions{Path: os.Getenv("ENVOY_PATH")})
	if err != nil {
		t.Fatal(err)
	}
	o := local.Options{Filters: filters, Modules: map[string]local.Module{}, Envoys: []envoy.Binary{binary}, Dir: t.TempDir()}
	for _, m := range built {
		if err := storage.Add(m.Name, m.Path); err != nil {
			t.Fatal(err)
		}
		o.Modules[m.Name] = local.Module{Remote: envoyconf.Remote{URL: storage.URL(m.Name), SHA256: m.WasmSHA256}, Path: m.Path}
	}
	return o
}

// failing is a step that fails, below its name.
type failing struct {
	step string
	want []string // in the failure
}

// sent is a step that sends a request and expects what follows.
func sent(expect string) string {
	return "request: {path: /headers, headers: {x-sent: [a, b], x-empty: \"\"}, body: hello}\n  within: 200ms\n  expect: {" + expect + "}"
}

// failures has, for each proxy, steps that fail.
var failures = []struct {
	filter, proxy string
	steps         []failing
}{
	{"requestlog", "never: [{pattern: 'x-sc[e]nt'}]", []failing{
		{sent("response: {status: 201}"), []string{"the response's status:", "- 201\n", "+ 200\n"}},
		{sent("response: {headers: {content-type: text/plain}}"), []string{"header content-type:", `- "text/plain"`, `+ "application/json`}},
		{sent("response: {headers: {content-type: [a, b]}}"), []string{`- ["a" "b"]`}},
		{sent("response: {headers: {date: {absent: true}}}"), []string{"header date:", "- absent"}},
		{sent("response: {headers: {x-none: a}}"), []string{`- "a"`, "+ absent"}},
		{sent("response: {headers: {content-type: {contains: xml}}}"), []string{`- contains "xml"`}},
		{sent("response: {headers: {content-type: {pattern: ^text}}}"), []string{"- matches ^text"}},
		{sent("response: {body: hello}"), []string{"the response's body:", "--- expected", "+++ seen", "-hello", `+  "headers": {`}},
		{sent("response: {body: {contains: [headers, nothing]}}"), []string{`contains "nothing"`}},
		{sent("response: {body: {pattern: ^x}}"), []string{"matches ^x"}},
		{sent("response: {body: {json: {\"$.headers['X-Sent']\": [a]}}}"), []string{"body $.headers['X-Sent']:", `- ["a"]`, `+ ["a","b"]`}},
		{sent("response: {body: {json: {$.headers: {absent: true}}}}"), []string{"- absent"}},
		{sent("response: {body: {json: {$.none: 1}}}"), []string{"- 1", "+ absent"}},
		{sent("response: {body: {json: {$.headers: {exactly: {absent: true}}}}}"), []string{`- {"absent":true}`, `+ {`}},
		{sent("response: {body: {json: {\"$.headers['X-Sent'][1]\": {contains: [b, c]}}}}"), []string{`- contains "c"`, `+ "b"`}},
		{sent("response: {body: {json: {\"$.headers['X-Sent'][1]\": {pattern: ^c}}}}"), []string{"- matches ^c", `+ "b"`}},
		{sent("response: {body: {size: 3}}"), []string{"- 3 bytes"}},
		{sent("upstream: {calls: 2}"), []string{"the upstream saw:", "- 2 calls", "+ 1 calls"}},
		{sent("upstream: {calls: 0}"), []string{"- 0 calls"}},
		{sent("upstream: {calls: {atLeast: 2}}"), []string{"- at least 2 calls", "+ 1 calls"}},
		{sent("upstream: {calls: {atMost: 0}}"), []string{"- at most 0 calls", "+ 1 calls"}},
		{"request: {path: /headers, times: 4, parallel: 4}\n  expect: {upstream: {calls: 5}}", []string{"4 times, 4 side by side", "- 5 calls", "+ 4 calls"}},
		{"request: {path: /headers, body: {size: 10}}\n  expect: {upstream: {body: {size: 11}}}", []string{"- 11 bytes", "+ 10 bytes", "head -c 10"}},
		{sent("upstream: {method: POST}"), []string{"the upstream's method:", "- POST", "+ GET"}},
		{sent("upstream: {path: /other}"), []string{`- "/other"`, `+ "/headers"`}},
		{sent("upstream: {authority: shop.example}"), []string{`- "shop.example"`}},
		{sent("upstream: {headers: {x-sent: [a, c]}}"), []string{`- ["a" "c"]`, `+ ["a" "b"]`}},
		{sent("upstream: {body: bye}"), []string{"the upstream's body:", `- "bye"`, `+ "hello"`}},
		{sent("statistics: {http.ingress_http.downstream_rq_2xx: {by: 7}}"), []string{"statistic http.ingress_http.downstream_rq_2xx:", "- 7 more", "+ 1 more"}},
		{sent("statistics: {wasmcustom.none: 3}"), []string{"- 3", "+ 0 (there is no such statistic)"}},
		{sent("statistics: {server.concurrency: {atLeast: 50}}"), []string{"- at least 50", "+ 1"}},
		{sent("statistics: {server.concurrency: {atMost: 0}}"), []string{"- at most 0", "+ 1"}},
		{sent("statistics: {http.ingress_http.downstream_rq_2xx: {byAtLeast: 7}}"), []string{"- at least 7 more", "+ 1 more"}},
		{sent("statistics: {http.ingress_http.downstream_rq_time: {samples: 50}}"), []string{"- 50 more samples", "+ 1 more samples"}},
		{sent("statistics: {http.ingress_http.downstream_rq_time: {p50: {atLeast: 100000}}}"), []string{"- P50 at least 100000"}},
		{sent("statistics: {http.ingress_http.downstream_rq_time: {p90: {atMost: -1}}}"), []string{"- P90 at most -1", "+ P90 "}},
		{sent("statistics: {http.ingress_http.downstream_rq_time: {p99: {atLeast: 100000}}}"), []string{"- P99 at least 100000", "+ P99 "}},
		{sent("prometheus: {'envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix=\"ingress_http\"}': {byAtMost: 0}}"), []string{"Prometheus's envoy_http_downstream_rq_total", "- at most 0 more", "+ 1 more"}},
		{sent("log: [{contains: [wasm log, nobody says this]}]"), []string{`- a line with ["wasm log" "nobody says this"]`, "+ 0 such lines"}},
		{sent("log: [{level: warning, contains: /headers}]"), []string{"- a line at level warning"}},
		{sent("log: [{pattern: 'status.:5[0-9]+'}]"), []string{"that matches status.:5[0-9]+"}},
		{sent("log: [{contains: '\"path\":\"/headers\"', times: 2}]"), []string{"- 2 lines", "+ 1 such lines"}},
		{sent("log: [{contains: '\"path\":\"/headers\"', json: {$.status: 201, $.duration_ms: {atLeast: 0}}}]"), []string{"a log line's $.status:", "- 201", "+ 200"}},
		{sent("log: [{contains: '\"path\":\"/headers\"', json: {$.duration_ms: {atMost: -1}}}]"), []string{"- a number, at most -1"}},
		{sent("log: [{contains: '\"path\":\"/headers\"', json: {$.status: {atLeast: 500}}}]"), []string{"- a number, at least 500", "+ 200"}},
		{sent("log: [{contains: '\"path\":\"/headers\"'}], never: ['\"x-request-id\"']"), []string{`- no line with "\"x-request-id\""`}},
		{"request: {path: /h2, protocol: HTTP/2}\n  expect: {response: {status: 200}}", []string{"- 200", "+ 404", "--http2-prior-knowledge"}},
		{"request: {path: /anything/x-scent}\n  expect: {response: {status: 200}, log: [{contains: x-scent}]}", []string{"- no line with a match of x-sc[e]nt"}},
	}},
	{"requestlog", "upstream: {answers: [{status: 500, times: 2}, {reset: true}]}", []failing{
		{"request: {times: 3}\n  expect: {response: {status: 500}}", []string{"response 3 of 3's status:", "- 500", "+ 503"}},
		{"change: {upstream: {answers: [{delay: 2s}]}}\n  request: {path: /aborted, abortAfter: 100ms}\n  within: 1s\n  expect: {log: [{contains: /aborted, json: {$.status: 200}}]}", []string{"a log line's $.status:", "aborted after 100ms", "--max-time 0.100"}},
	}},
	{"requestlog", "proxy: {pluginConfig: {headers: none}}", []failing{
		{sent("refusal: {message: headers}"), []string{"the refusal:", "- one line at level critical", "+ 0 lines"}},
		{"change: {pluginConfig: {headers: [x-one]}}\n  request: {path: /changed, headers: {x-one: \"1\", x-two: \"2\"}}\n  within: 200ms\n  expect: {log: [{contains: /changed, json: {$.request_headers: {x-two: \"2\"}}}]}", []string{`- {"x-two":"2"}`, `+ {"x-one":"1"}`}},
		{"change: {pluginConfig: {hedaers: none}}\n  request: {path: /get}\n  expect: {response: {status: 200}}", []string{"- accepted", "hedaers"}},
	}},
	{"requestlog", "proxy: {pluginConfig: {hedaers: none}, failStrategy: FAIL_OPEN}", []failing{
		{sent("response: {status: 200}"), []string{"the configuration:", "- accepted", "hedaers"}},
	}},
	{"requestlog", "proxy: {pluginConfig: {hedaers: none}, failStrategy: FAIL_CLOSE}", []failing{
		{sent("refusal: {message: another reason}"), []string{`- a line with "another reason"`, "hedaers"}},
	}},
	{"authtoken", "proxy:\n  pluginConfig: {cluster: \"${services.auth.cluster}\", interval: 1s, path: /token}\n" +
		"services:\n  auth:\n    answers: [{headers: {authorization: \"Bearer token-${call}\"}}]", []failing{
		{"within: 200ms\n  expect: {services: {auth: {calls: {atLeast: 1000}}}}", []string{"service auth saw:", "- at least 1000 calls"}},
		{"within: 3s\n  expect: {services: {auth: {calls: {atLeast: 2, apart: 1h}}}}", []string{"calls 1 and 2 are apart:", "- at least 1h0m0s"}},
		{"within: 2s\n  expect: {services: {auth: {path: /other, headers: {x-none: a}}}}", []string{`- "/other"`, `+ "/token"`, `- "a"`}},
		{"request: {}\n  within: 200ms\n  expect: {response: {headers: {x-auth: \"x${services.auth.headers.authorization}\"}}}", []string{`- "xBearer token-`, `+ "Bearer token-`, "sent again"}},
		{"within: 200ms\n  expect: {statistics: {wasmcustom.authtoken_refresh_failure: {same: \"${services.auth.calls}\"}}}", []string{"statistic wasmcustom.authtoken_refresh_failure:", "+ 0"}},
		{"change: {services: {auth: {answers: [{down: true}]}}}\n  within: 1500ms\n  expect: {services: {auth: {calls: {atLeast: 1}}}}", []string{"- at least 1 calls", "+ 0 calls"}},
		{"change: {services: {auth: {answers: [{status: 500}]}}}\n  within: 1500ms\n  expect: {log: [{contains: gives tokens again}]}", []string{"gives tokens again"}},
	}},
}

// TestExpectationsFail: every kind of expectation fails in real Envoy when something else is
// seen, and says what was expected beside what was seen.
func TestExpectationsFail(t *testing.T) {
	t.Parallel()
	o := options(t)
	var scenarios []scenario.Scenario
	for i, f := range failures {
		text := "description: Its steps fail.\n" + f.proxy + "\nsteps:\n"
		for j, step := range f.steps {
			text += fmt.Sprintf("- name: step %d\n  %s\n", j, step.step)
		}
		path := filepath.Join(t.TempDir(), fmt.Sprintf("fails-%d.yaml", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, filter := range o.Filters {
			if filter.Name == f.filter {
				s, err := scenario.Read(path, filter)
				if err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				scenarios = append(scenarios, s)
			}
		}
	}
	proxy, err := local.Start(t.Context(), scenarios, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	}()
	// The others would change Envoy's own statistics meanwhile.
	check(t, failures[0].steps, play.PlayAll(t.Context(), &scenarios[0], proxy.Stages[0]))
	var playing sync.WaitGroup
	for i := range scenarios[1:] {
		playing.Go(func() {
			check(t, failures[i+1].steps, play.PlayAll(t.Context(), &scenarios[i+1], proxy.Stages[i+1]))
		})
	}
	playing.Wait()
}

// check compares what is said of steps.
func check(t *testing.T, steps []failing, errs []error) {
	t.Helper()
	for i, step := range steps {
		if errs[i] == nil {
			t.Errorf("the step passes:\n%s", step.step)
			continue
		}
		text := errs[i].Error()
		wants := append([]string{"log since the step began, "}, step.want...)
		if strings.Contains(step.step, "request:") {
			wants = append(wants, "request: GET http://", "curl: ", "curl -i ")
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s\nthe failure lacks %q:\n%s", step.step, want, text)
			}
		}
	}
}

// TestAgain: in an Envoy that runs already, a scenario holds each time that it is played. What was
// counted and logged before is not its business.
func TestAgain(t *testing.T) {
	t.Parallel()
	o := options(t)
	path := filepath.Join(t.TempDir(), "again.yaml")
	text := `description: It is played twice.
services: {auth: {cluster: again, answers: [{headers: {authorization: "${call}"}}]}}
proxy: {pluginConfig: {cluster: again, interval: 1h}}
steps:
- name: nothing was counted before
  request: {path: /get}
  within: 10s
  expect:
    response: {headers: {x-auth: "1"}}
    statistics: {wasmcustom.authtoken_refresh_success: 1, server.concurrency: 1}
    prometheus: {authtoken_refresh_success: 1}
- name: nor after
  request: {path: /get, times: 2}
  expect:
    response: {status: 200}
    services: {auth: {calls: 0}}
    statistics: {wasmcustom.authtoken_refresh_success: {is: 1, by: 0}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, filter := range o.Filters {
		if filter.Name != "authtoken" {
			continue
		}
		s, err := scenario.Read(path, filter)
		if err != nil {
			t.Fatal(err)
		}
		workers := s
		workers.Name, workers.Proxy.Workers = "workers", 2
		o.Scenarios, o.Run = []scenario.Scenario{s, workers}, regexp.MustCompile("/(again|workers)$")
	}
	playTwice(t, o, envoyconf.BuildOptions{}, 1, 1)
}

// TestApart: what the Envoy that runs already does of its own is not a scenario's business either.
func TestApart(t *testing.T) {
	t.Parallel()
	o := options(t)
	for name, text := range map[string]string{
		"taken": `description: The Envoy has the cluster already.
services: {auth: {cluster: taken, answers: [{headers: {authorization: "${call}"}}]}}
proxy: {pluginConfig: {cluster: taken, interval: 1h}}
steps:
- name: the service is the scenario's
  within: 10s
  expect: {services: {auth: {calls: 1}}}
`,
		"counted": `description: The Envoy counts the same.
services: {auth: {answers: [{headers: {authorization: "${call}"}}]}}
proxy: {pluginConfig: {cluster: "${services.auth.cluster}", interval: 1s}}
steps:
- name: no fetch fails
  within: 4s
  expect: {statistics: {wasmcustom.authtoken_refresh_success: {atLeast: 3}, wasmcustom.authtoken_refresh_failure: 0}}
`,
	} {
		path := filepath.Join(t.TempDir(), name+".yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Read(path, o.Filters[0])
		if err != nil {
			t.Fatal(err)
		}
		o.Scenarios = append(o.Scenarios, s)
	}
	o.Run = regexp.MustCompile("/(taken|counted)$")
	playTwice(t, o, envoyconf.BuildOptions{
		Clusters: []envoyconf.Cluster{{Name: "taken", Address: envoyconf.Address{Port: 1}}},
		Listeners: []envoyconf.Listener{{Filters: []envoyconf.Filter{{
			Name: "authtoken", Configuration: `{"cluster": "nobody", "interval": "1s"}`,
			Source: envoyconf.Local{Path: o.Modules["authtoken"].Path},
		}}}},
	}, 2, 0)
}

// playTwice plays scenarios twice in an Envoy that runs already, and counts the results each time.
func playTwice(t *testing.T, o local.Options, host envoyconf.BuildOptions, passed, leftOut int) {
	t.Helper()
	var clusters []string
	for _, c := range host.Clusters {
		clusters = append(clusters, c.Name)
	}
	dir := t.TempDir()
	guest, err := local.NewGuest(dir, clusters)
	if err != nil {
		t.Fatal(err)
	}
	host.Upstream, host.Dynamic, host.FlushOnAdmin = envoyconf.Address{Port: 1}, dir, true
	config, err := envoyconf.Render(host)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := envoy.Start(t.Context(), envoy.StartOptions{Path: o.Envoys[0].Path, Config: config, Dir: t.TempDir(), Args: []string{"--drain-time-s", "1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := proxy.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for range 2 {
		o.Dir = t.TempDir()
		results, err := guest.Play(t.Context(), proxy, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, failure := range results.Failures {
			t.Error(failure)
		}
		if results.Count(scenario.Passed) != passed || results.Count(scenario.LeftOut) != leftOut {
			t.Errorf("the results are %+v", results.Results)
		}
	}
	listeners, err := proxy.Get(t.Context(), "/listeners")
	if err != nil || strings.Contains(listeners, "authtoken") {
		t.Errorf("Envoy still listens: %s, %v", listeners, err)
	}
}
