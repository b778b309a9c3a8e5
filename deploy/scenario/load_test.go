package scenario_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/internal/strictyaml/schematest"
	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// schemaFile is the schema with which editors check and complete a scenario.
const schemaFile = "scenario.schema.json"

var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	return jsonschema.NewCompiler().Compile(schemaFile)
})

// editorSays returns the error that an editor with the schema shows for a text.
func editorSays(t testing.TB, text string) error {
	t.Helper()
	schema, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return err
	}
	return schematest.Says(schema, data)
}

// filter is a filter whose source has the name of the cluster "fixed".
func filter(t testing.TB) catalog.Filter {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mine/filter.yaml": "title: M\n", "other/filter.yaml": "title: O\n", "mine/main.go": "package main // fixed\n", "mine/scenarios/body.txt": "hello",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return catalog.Filter{Name: "mine", Dir: filepath.Join(dir, "mine")}
}

// read reads a scenario of the filter.
func read(t testing.TB, f catalog.Filter, text string) (scenario.Scenario, string, error) {
	t.Helper()
	path := filepath.Join(f.Dir, scenario.Folder, "it.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Read(path, f)
	return s, path, err
}

// top is a scenario up to its steps, and step a step up to its expectations.
const (
	top  = "description: It is read.\n"
	step = top + "steps:\n- name: a\n  request: {path: /}\n  expect:\n    "
	ok   = "steps:\n- name: a\n  request: {path: /}\n  expect: {response: {status: 200}}\n"
)

// TestRefused: a scenario that could never fail, or never hold, is refused with its line and
// column and the mend, and an editor with the schema marks it, too.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text, want string
		unsaid     bool // the schema cannot say it
	}{
		"no description":          {ok, "1:1: description: say in one line what the filter does here", false},
		"no steps":                {top, "1:1: steps: there is none, so that the scenario checks nothing; add one with", false},
		"empty":                   {"", "description: say in one line", false},
		"unknown field":           {top + "stesp: []\n", `2:1: unknown field "stesp"; did you mean "steps"?`, false},
		"unknown deeper":          {step + "response: {statsu: 200}\n", `6:16: unknown field "steps.expect.response.statsu"; did you mean "status"?`, false},
		"unknown in short":        {step + "response: {headers: {a: {contians: b}}}\n", `6:30: unknown field "steps.expect.response.headers.a.contians"; did you mean "contains"?`, false},
		"checks nothing":          {top + "steps:\n- name: a\n  request: {}\n  expect: {}\n", "5:11: steps[0].expect: the step checks nothing, so that it cannot fail; say what must be seen", false},
		"no expect":               {top + "steps:\n- name: a\n  request: {}\n", "3:3: steps[0].expect: the step checks nothing", false},
		"empty response":          {step + "response: {}\n", "steps[0].expect: the step checks nothing", false},
		"no name":                 {top + "steps:\n- request: {}\n  expect: {response: {status: 200}}\n", "3:3: steps[0].name: say in one line what is seen", false},
		"same name":               {top + ok + "- name: a\n  expect: {log: [{contains: a}]}\n", "6:9: steps[1].name: another step has the same name", true},
		"response to nothing":     {top + "steps:\n- name: a\n  expect: {response: {status: 200}}\n", "4:22: steps[0].expect.response: the step sends no request", true},
		"response after abort":    {top + "steps:\n- name: a\n  request: {abortAfter: 1s}\n  expect: {response: {status: 200}}\n", "the client hangs up and sees none", true},
		"no status":               {step + "response: {status: 99}\n", "6:24: steps[0].expect.response.status: 99 is no status; give 100 to 599", false},
		"number for text":         {step + "response: {headers: {a: 5}}\n", "6:29: steps.expect.response.headers.a: 5 is no text; write it in quotes", false},
		"text for number":         {step + "response: {status: ok}\n", "6:24: steps.expect.response.status: ok is no whole number", false},
		"empty list":              {step + "response: {headers: {a: []}}\n", "the list is empty; leave it out, or write absent: true", false},
		"absent and a value":      {step + "response: {headers: {a: {absent: true, exactly: b}}}\n", "contradict each other", true},
		"exactly and contains":    {step + "response: {headers: {a: {contains: a, exactly: b}}}\n", "contradict each other", true},
		"text says nothing":       {step + "response: {headers: {a: {}}}\n", "says nothing; write a text", false},
		"body and no content":     {step + "response: {status: 204, body: hello}\n", "a response with status 204 has no body, which contradicts; remove one of the two", true},
		"short body":              {step + "response: {body: {size: 2, contains: long}}\n", "2 bytes cannot contain a longer text, which contradicts", true},
		"exact body and size":     {step + "response: {body: {size: 2, exactly: ab}}\n", "exactly says it all", true},
		"pattern":                 {step + "response: {body: {pattern: \"(\"}}\n", "steps[0].expect.response.body.pattern: is no regular expression: missing closing )", true},
		"JSON path":               {step + "response: {body: {json: {name: 1}}}\n", "is no JSON path", false},
		"JSON limits":             {step + "response: {body: {json: {$.a: {atLeast: 2, atMost: 1}}}}\n", "atLeast is more than atMost, which contradicts", true},
		"header forbidden":        {top + "steps:\n- name: a\n  request: {headers: {\"x a\": b}}\n  expect: {response: {status: 200}}\n", `header name "x a" is not a token, so that HTTP forbids it`, false},
		"header line break":       {top + "steps:\n- name: a\n  request: {headers: {x-a: \"b\\nc\"}}\n  expect: {response: {status: 200}}\n", "which HTTP forbids; write it in one line", false},
		"header space":            {top + "steps:\n- name: a\n  request: {headers: {x-a: \" b\"}}\n  expect: {response: {status: 200}}\n", "4:28: steps[0].request.headers.x-a: the value has spaces at an end, which HTTP removes", false},
		"header of framing":       {top + "steps:\n- name: a\n  request: {headers: {Host: b}}\n  expect: {response: {status: 200}}\n", "written by client and server themselves; write it as the request's authority", false},
		"header twice":            {top + "steps:\n- name: a\n  request: {headers: {x-a: b, X-A: c}}\n  expect: {response: {status: 200}}\n", "is the same header as X-A", true},
		"pseudo header":           {step + "response: {headers: {\":status\": \"200\"}}\n", ":status is no header; use status", false},
		"path":                    {top + "steps:\n- name: a\n  request: {path: a}\n  expect: {response: {status: 200}}\n", "is no path of a request; begin with a slash", false},
		"method":                  {top + "steps:\n- name: a\n  request: {method: G T}\n  expect: {response: {status: 200}}\n", "is no method", false},
		"CONNECT":                 {top + "steps:\n- name: a\n  request: {method: CONNECT}\n  expect: {response: {status: 200}}\n", "CONNECT opens a tunnel", true},
		"protocol":                {top + "steps:\n- name: a\n  request: {protocol: HTTP/3}\n  expect: {response: {status: 200}}\n", `did you mean "HTTP/2"?`, false},
		"parallel":                {top + "steps:\n- name: a\n  request: {parallel: 3}\n  expect: {response: {status: 200}}\n", "3 requests cannot be side by side when there are 1", true},
		"duration":                {top + "steps:\n- name: a\n  within: 5\n  request: {}\n  expect: {response: {status: 200}}\n", "4:11: steps.within: 5 is no duration above zero; write one such as 300ms or 5s", false},
		"body file":               {top + "steps:\n- name: a\n  request: {body: {file: none.txt}}\n  expect: {response: {status: 200}}\n", "there is no file ", true},
		"body file outside":       {top + "steps:\n- name: a\n  request: {body: {file: ../main.go}}\n  expect: {response: {status: 200}}\n", "is not within the scenario's folder", true},
		"two bodies":              {top + "steps:\n- name: a\n  request: {body: {text: a, size: 1}}\n  expect: {response: {status: 200}}\n", "exclude each other", false},
		"calls contradict":        {step + "upstream: {calls: {atLeast: 3, atMost: 2}}\n", "6:23: steps[0].expect.upstream.calls: atLeast is more than atMost, which contradicts; correct one", true},
		"no call with a path":     {step + "upstream: {calls: 0, path: /}\n", "no call has a method, path, header or body, which contradicts", true},
		"seen nothing":            {step + "upstream: {}\n", "checks nothing", false},
		"statistic nothing":       {step + "statistics: {a: {}}\n", "says nothing", false},
		"statistic contradicts":   {step + "statistics: {a: {is: 1, by: 2}}\n", "6:21: steps[0].expect.statistics.a: a counter that has grown by 2 is not 1, which contradicts", true},
		"histogram and value":     {step + "statistics: {a: {is: 1, samples: 2}}\n", "keep one kind", true},
		"log nothing":             {step + "log: [{times: 1}]\n", "says nothing of the line", true},
		"log level":               {step + "log: [{level: warn}]\n", `unknown word "warn"; write trace, debug, info, warning`, false},
		"log and never":           {top + "never: [secret]\n" + "steps:\n- name: a\n  request: {}\n  expect: {log: [{contains: the secret}]}\n", "6:18: steps[0].expect.log[0]: never says that no line has [\"secret\"], which contradicts", true},
		"never nothing":           {top + "never: [\"\"]\n" + ok, "every line contains the empty text", false},
		"late refusal":            {top + ok + "- name: b\n  expect: {refusal: {message: a}}\n", "only the first step, and one that changes pluginConfig", true},
		"unknown service":         {step + "services: {auth: {calls: 1}}\n", `steps[0].expect.services.auth: unknown service "auth"; the scenario has none`, true},
		"service nobody calls":    {top + "services: {auth: {}}\n" + ok, `2:18: services.auth: no filter calls it: no configuration has the cluster's name "auth"; write it or ${services.auth.cluster} into one, or remove the service`, true},
		"service name":            {top + "services: {Auth_: {}}\n" + ok, "is no name of a service", false},
		"service upstream":        {top + "services: {upstream: {}}\n" + ok, "upstream is the cluster behind the proxy", true},
		"same cluster":            {top + "services: {a: {cluster: fixed}, b: {cluster: fixed}}\n" + ok, "has the same cluster fixed", true},
		"down and more":           {top + "services: {fixed: {answers: [{down: true, status: 200}]}}\n" + ok, "silent, reset and down cannot stand beside another answer", true},
		"after down":              {top + "services: {fixed: {answers: [{down: true}, {}]}}\n" + ok, "nothing can follow", true},
		"times of the last":       {top + "services: {fixed: {answers: [{times: 2}]}}\n" + ok, "remove times, or add the answer that follows", true},
		"chain and settings":      {top + "proxy: {pluginConfig: {}, chain: [{filter: mine}]}\n" + ok, "cannot stand beside chain", false},
		"chain without itself":    {top + "proxy: {chain: [{filter: other}]}\n" + ok, "filter mine is not in it", true},
		"chain of nobody":         {top + "proxy: {chain: [{filter: mine}, {filter: nobody}]}\n" + ok, `the repository has no filter "nobody"`, true},
		"chain escapes":           {top + "proxy: {chain: [{filter: ../mine}]}\n" + ok, `the repository has no filter "../mine"`, false},
		"fail strategy":           {top + "proxy: {failStrategy: FAIL_OPENED}\n" + ok, `2:23: proxy.failStrategy: unknown word "FAIL_OPENED"; did you mean "FAIL_OPEN"?`, false},
		"configuration list":      {top + "proxy: {pluginConfig: [a]}\n" + ok, "write an object, which reaches the filter as JSON, or a text in quotes", false},
		"environment":             {top + "proxy: {vmConfig: {env: [{name: 1A}]}}\n" + ok, `proxy.vmConfig.env[0].name: "1A" is no name of a variable`, false},
		"Envoy not to be had":     {top + "proxy: {except: [{envoy: 1.99.0, reason: old}]}\n" + ok, `2:26: proxy.except[0].envoy: there is no Envoy "1.99.0" to be had; give a version from 1.36 to 1.40`, true},
		"Envoy no version":        {top + "proxy: {except: [{envoy: latest, reason: old}]}\n" + ok, "there is no Envoy \"latest\" to be had", false},
		"no reason":               {top + "proxy: {except: [{envoy: \"1.36\"}]}\n" + ok, "say why the scenario is not played in Envoy 1.36", false},
		"workers":                 {top + "proxy: {workers: 65}\n" + ok, "65 is no number of worker threads", false},
		"unknown variable":        {step + "response: {headers: {a: \"${nobody}\"}}\n", "6:29: steps[0].expect.response.headers.a.exactly[0]: nothing gives ${nobody} a value", true},
		"variable too early":      {top + "steps:\n- name: a\n  request: {path: \"/${id}\"}\n  expect: {response: {status: 200}}\n- name: b\n  expect: {log: [{pattern: \"(?P<id>.)\"}]}\n", "nothing gives ${id} a value", true},
		"call outside an answer":  {step + "response: {body: \"${call}\"}\n", "nothing gives ${call} a value", true},
		"change of nothing":       {top + ok + "- name: b\n  change: {}\n  expect: {log: [{contains: a}]}\n", "changes nothing", true},
		"change of httpbin":       {top + ok + "- name: b\n  change: {upstream: {answers: [{}]}}\n  expect: {log: [{contains: a}]}\n", "only an upstream that the scenario scripts can change", true},
		"change in a chain":       {top + "proxy: {chain: [{filter: mine}, {filter: other}]}\n" + ok + "- name: b\n  change: {pluginConfig: {}}\n  expect: {log: [{contains: a}]}\n", "say with filter which one gets it", true},
		"bench without a request": {top + "bench: true\nsteps:\n- name: a\n  expect: {log: [{contains: a}]}\n", "the first step has no request that could be measured", true},
		"anchor":                  {top + "never: &a [b]\n" + ok, "anchors, aliases and tags are not read here", true},
		"too deep":                {top + "proxy: {pluginConfig: " + strings.Repeat("{a: ", 120) + "1" + strings.Repeat("}", 120) + "}\n" + ok, "nested deeper than 100 levels", true},
		"too large":               {top + "# " + strings.Repeat("x", 1<<20) + "\n" + ok, "more than the 1048576 bytes", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, path, err := read(t, filter(t), test.text)
			at := regexp.MustCompile("^" + regexp.QuoteMeta(path) + ":[1-9][0-9]*:[1-9][0-9]*: ")
			if name == "empty" || name == "too large" { // there is no place for the mistake
				at = regexp.MustCompile(regexp.QuoteMeta(path) + ": ")
			}
			if err == nil || !at.MatchString(err.Error()) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v\nwant the path, a line, a column and %q", err, test.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %v", err)
			}
			if said := editorSays(t, test.text); (said == nil) != test.unsaid {
				t.Errorf("an editor with %s says: %v", schemaFile, said)
			}
		})
	}
}

// TestAccepted: what uses every form is read, and an editor accepts it.
func TestAccepted(t *testing.T) {
	t.Parallel()
	f := filter(t)
	for _, text := range []string{
		top + ok,
		top + "bench: true\nnever: [a, {pattern: b}, {contains: [c, d]}]\n" + ok,
		top + "proxy: {pluginConfig: \"a=b\", vmConfig: {configuration: {a: 1}, env: [{name: A, value: b}, {name: B, valueFrom: HOST}]}, failStrategy: FAIL_RELOAD, workers: 2, direction: outbound, except: [{envoy: 1.36.4, reason: old}]}\n" + ok,
		top + "proxy: {chain: [{filter: other, pluginConfig: {}}, {filter: mine}]}\n" + ok,
		top + "services: {a: {cluster: fixed, answers: [{status: 500, headers: {a: [b, c], d: \"${call}\"}, body: {size: 5}, delay: 1s, times: 2}, {reset: true}, {silent: true}, {down: true}]}}\n" + ok,
		top + "proxy: {pluginConfig: {c: \"${services.a.cluster}\"}}\nservices: {a: {}}\nupstream: {answers: [{body: {file: body.txt}}]}\n" + ok,
		step + "response: {status: 200, headers: {a: b, c: [d, e], f: {absent: true}, g: {contains: [h], pattern: i}}, body: {contains: a, json: {$.a: {b: 1}, \"$['c']\": [1, x], $.d: null, $.e: {atLeast: 1.5}, $.f: {exactly: {absent: true}}}}}\n",
		step + "statistics: {a: 1, b: {by: 0}, c: {samples: 1, p50: {atMost: 2.5}}}\n    prometheus: {'a{b=\"c\"}': 1}\n",
		step + "upstream: {calls: {atLeast: 1, apart: 10ms}, path: {pattern: ^/}, body: hello}\n    log: [{pattern: \"(?P<id>[0-9]+)\", times: 0}, {contains: \"${id}\", level: debug}, {json: {$.a: 1}}]\n",
		top + "steps:\n- name: a\n  request: {method: PUT, path: \"/a?b=c\", authority: \"a:80\", headers: {a: \"\"}, body: {size: 10}, protocol: HTTP/2, times: 4, parallel: 2}\n  within: 1m\n  expect: {response: {body: \"\"}}\n",
		top + "proxy: {pluginConfig: a}\nsteps:\n- name: a\n  expect: {refusal: {message: {contains: [a, b]}}}\n- name: b\n  change: {pluginConfig: {a: 1}}\n  expect: {refusal: {message: a}}\n",
	} {
		if _, _, err := read(t, f, text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		if err := editorSays(t, text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	files, err := filepath.Glob("../../filter/*/scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := editorSays(t, string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestLoadRefuses: files that would silently not be played are refused.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	f := filter(t)
	for name, text := range map[string]string{
		"one.yml": top + ok, "Two.yaml": top + ok, "as-shipped.yaml": top + ok,
		"a.yaml": top + "bench: true\n" + ok, "b.yaml": top + "bench: true\n" + ok,
	} {
		if err := os.WriteFile(filepath.Join(f.Dir, scenario.Folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := scenario.Load([]catalog.Filter{f})
	for _, want := range []string{
		"one.yml: scenarios are named *.yaml; rename it", `"Two" is no name of a scenario`, "as-shipped.yaml: ", "a filter is measured with one scenario",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q in it", err, want)
		}
	}
}

// TestSchemaHasFields: the schema and the types have the same fields everywhere.
func TestSchemaHasFields(t *testing.T) {
	t.Parallel()
	root, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	schematest.CompareFields(t, "scenario", root, reflect.TypeFor[scenario.Scenario]())
}

// TestReference: the reference names every field of a scenario.
func TestReference(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Scenarios\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var check func(reflect.Type)
	check = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			check(of.Elem())
		case reflect.Struct:
			for _, field := range reflect.VisibleFields(of) {
				name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
				if name == "" || name == "-" {
					continue
				}
				if !regexp.MustCompile("\\b" + name + "\\b").MatchString(section) {
					t.Errorf("the reference does not name %s of %s", name, of)
				}
				check(field.Type)
			}
		}
	}
	check(reflect.TypeFor[scenario.Scenario]())
}

// TestNewestEnvoy: the newest version that a scenario may name is the default one.
func TestNewestEnvoy(t *testing.T) {
	t.Parallel()
	if !strings.HasPrefix(envoy.DefaultVersion, scenario.NewestEnvoy+".") {
		t.Errorf("%s is not %s", scenario.NewestEnvoy, envoy.DefaultVersion)
	}
}

// FuzzRead: no text makes the reader panic, and the reader refuses what the schema refuses.
func FuzzRead(f *testing.F) {
	f.Add(ok)
	f.Add("proxy: {pluginConfig: {a: 1}}\n" + ok)
	f.Add("services: {fixed: {answers: [{down: true}]}}\n" + ok)
	f.Add("steps: [{name: a, request: {body: {size: 1}}, expect: {statistics: {a: {by: 1}}, log: [{json: {$.a: {atLeast: 1}}}]}}]")
	mine := filter(f)
	f.Fuzz(func(t *testing.T, text string) {
		text = top + text
		_, _, err := read(t, mine, text)
		data, jsonErr := yaml.YAMLToJSON([]byte(text))
		if err != nil || jsonErr != nil || bytes.Contains(data, []byte("null")) {
			return // an empty value counts as left out
		}
		if refused := editorSays(t, text); refused != nil {
			t.Errorf("the schema refuses what is read:\n%s\n%v", text, refused)
		}
	})
}
