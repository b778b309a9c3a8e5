package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/internal/foreground"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// desk is a repository with one filter, and dev runs on it.
type desk struct {
	*testing.T
	main, metadata, scenario string // files
	source                   string // of main
	listener                 string
	out                      envoytest.Output
	running                  context.Context
}

// eventually waits until see returns nil.
func (d *desk) eventually(see func() error) {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.running, 5*time.Minute) // V8 needs long on a busy machine
	defer cancel()
	if err := envoytest.Until(ctx, see); err != nil {
		d.Fatalf("%v\n%s", err, &d.out)
	}
}

func (d *desk) eventuallyPrints(texts ...string) {
	d.Helper()
	d.eventually(func() error {
		for _, text := range texts {
			if !strings.Contains(d.out.String(), text) {
				return fmt.Errorf("does not print %q", text)
			}
		}
		return nil
	})
}

// header returns the response header x-dev as a client sees it.
func (d *desk) header() string {
	res, err := http.Get("http://" + d.listener + "/get")
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return fmt.Sprintf("%d %s", res.StatusCode, res.Header.Get("x-dev"))
}

func (d *desk) eventuallyAnswers(want string) {
	d.Helper()
	d.eventually(func() error {
		if got := d.header(); got != want {
			return fmt.Errorf("a client sees %q, want %q", got, want)
		}
		return nil
	})
}

// save writes a file as many editors do: to a new file, which is then renamed to the old one's
// name.
func (d *desk) save(file, content string) {
	d.Helper()
	if err := os.WriteFile(file+"~", []byte(content), 0o644); err != nil {
		d.Fatal(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		d.Fatal(err)
	}
}

const mainGo = `package main

import (
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	_ "github.com/slipway-wasm/slipway/filter/gohost"
	"github.com/slipway-wasm/slipway/filter/httpheader"
)

func main() {}

func init() { proxywasm.SetVMContext(&vmContext{}) }

type vmContext struct{ types.DefaultVMContext }

func (*vmContext) NewPluginContext(uint32) types.PluginContext { return &plugin{} }

type plugin struct{ types.DefaultPluginContext }

func (*plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	if size > 0 {
		proxywasm.LogCritical("any configuration is refused")
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (*plugin) NewHttpContext(uint32) types.HttpContext { return &stream{} }

type stream struct{ types.DefaultHttpContext }

func (*stream) OnHttpResponseHeaders(int, bool) types.Action {
	_ = proxywasm.AddHttpResponseHeader(httpheader.Canonical("X-Dev"), "first")
	proxywasm.LogInfo("answering first")
	return types.ActionContinue
}
`

// refuses is a scenario of the filter below.
const refuses = `description: It refuses any configuration.
proxy: {pluginConfig: any, failStrategy: FAIL_CLOSE}
steps:
- name: requests are refused
  request: {path: /get}
  expect:
    refusal: {message: any configuration is refused}
    response: {status: 503}
`

// answersFirst is a scenario of that filter.
const answersFirst = `description: It says which source it was made from.
steps:
- name: it answers first
  request: {path: /get}
  expect: {response: {headers: {x-dev: first}}}
`

const metadata = "title: Dev\ndescription: Is edited.\nlicense: Apache-2.0\n"

// newDesk copies the files that a filter needs to a folder where they can be edited.
func newDesk(t *testing.T, source string) (*desk, options) {
	t.Helper()
	root := t.TempDir()
	filters := filepath.Join(root, "filter")
	for _, folder := range []string{"conf", "gohost", "httpheader", "internal"} {
		if err := os.CopyFS(filepath.Join(filters, folder), os.DirFS(filepath.Join("../../filter", folder))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join("../../filter", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(filters, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(filters, "dev", "scenarios"), 0o755); err != nil {
		t.Fatal(err)
	}
	cfg, err := variables.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Compiler, cfg.EnvoyVersions = "go", nil
	d := &desk{
		T:        t,
		main:     filepath.Join(filters, "dev", "main.go"),
		metadata: filepath.Join(filters, "dev", "filter.yaml"),
		scenario: filepath.Join(filters, "dev", "scenarios", "answers.yaml"),
		source:   source,
		listener: envoytest.MustFreeAddress(t),
	}
	d.save(d.main, source)
	d.save(d.metadata, metadata)
	d.save(d.scenario, answersFirst)
	d.save(filepath.Join(filepath.Dir(d.scenario), "refuses.yaml"), refuses)
	return d, options{Filter: "dev", Options: foreground.Options{
		Listener: d.listener, Backend: envoytest.MustFreeAddress(t), Admin: envoytest.MustFreeAddress(t),
		Root: root, Config: cfg, Out: &d.out,
	}}
}

func needEnvoy(t *testing.T) {
	t.Helper()
	if _, err := envoy.Find(t.Context(), envoy.FindOptions{Path: os.Getenv("ENVOY_PATH")}); errors.Is(err, envoy.ErrNotFound) {
		t.Skipf("needs an Envoy: go online, or set ENVOY_PATH: %v", err)
	}
}

// A day at the desk: the filter is broken at first, fixed, changed, broken again, changed in a
// package beside it, refused by Envoy, and at last stopped.
func TestDev(t *testing.T) {
	needEnvoy(t)
	d, o := newDesk(t, strings.Replace(mainGo, "types.ActionContinue", "types.ActionContinues", 1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wait func() error
	d.running, wait = envoytest.Go(func() error { return dev(ctx, o) })

	d.eventuallyPrints("failed   Save a file to try again.", filepath.Join("filter", "dev", "main.go")+":36:15: undefined: types.ActionContinues")
	d.save(d.main, mainGo)
	d.eventuallyPrints("holds    3 of 3 scenarios, ")
	d.eventuallyPrints("curl -i http://" + d.listener + "/headers")
	d.eventuallyAnswers("200 first")
	d.eventuallyPrints(" info     #2    answering first\n")

	second := strings.ReplaceAll(mainGo, "first", "second")
	d.save(d.main, second)
	d.eventuallyAnswers("200 second")
	d.eventuallyPrints(" after the save: built in ")
	d.eventuallyPrints("broke    answers\n", `step "it answers first":`, "curl: curl -i http://", `- "first"`, `+ "second"`, "holds    2 of 3 scenarios, ")
	d.save(d.scenario, strings.ReplaceAll(answersFirst, "first", "second"))
	d.eventuallyPrints("holds    3 of 3 scenarios, ", "; mended: answers\n")
	d.save(d.scenario, "steps: [")
	d.eventuallyPrints("failed   The scenarios were not played.", filepath.Join("scenarios", "answers.yaml")+":1:")
	d.save(d.scenario, strings.ReplaceAll(answersFirst, "first", "third"))
	d.eventuallyPrints(`- "third"`)
	d.save(d.scenario, strings.ReplaceAll(answersFirst, "first", "fourth"))
	d.eventuallyPrints("; still broken: answers\n")

	d.save(d.main, strings.Replace(second, `"second"`, "second", 1))
	d.eventuallyPrints("failed   Envoy keeps what it has.", filepath.Join("filter", "dev", "main.go")+":34:", "undefined: second")
	if got := d.header(); got != "200 second" {
		t.Errorf("after a broken build a client sees %q", got)
	}
	d.save(d.main, second)
	d.eventuallyPrints("same     the module and its configuration are what Envoy has")

	d.save(d.metadata, metadata+"example: {any: thing}\n")
	d.eventuallyPrints("critical #1    any configuration is refused", "refused  Envoy does not take it")
	if got := d.header(); got != "200 second" {
		t.Errorf("after a refused configuration a client sees %q", got)
	}
	d.save(d.metadata, metadata)
	helper := filepath.Join(o.Root, "filter", "httpheader", "httpheader.go")
	source, err := os.ReadFile(helper)
	if err != nil {
		t.Fatal(err)
	}
	d.save(helper, strings.Replace(string(source), "func Canonical(name string) string {", `func Canonical(name string) string {
	if name == "X-Dev" {
		return "x-other"
	}`, 1))
	d.eventuallyAnswers("200 ")

	cancel()
	if err := wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	for _, address := range []string{o.Listener, o.Backend, o.Admin} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("still in use afterwards: %v", err)
			continue
		}
		listener.Close()
	}
	if strings.Contains(d.out.String(), "\x1b") {
		t.Error("colors were not asked for")
	}
}

func TestDevRefuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	for name, test := range map[string]struct {
		change func(*options)
		want   string
	}{
		"filter":  {func(o *options) { o.Filter = "nobody" }, `find filter "nobody"`},
		"address": {func(o *options) { o.Admin = taken.Addr().String() }, "choose another address with -admin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, o := newDesk(t, mainGo)
			test.change(&o)
			if err := dev(t.Context(), o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}
