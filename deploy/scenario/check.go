package scenario

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theory/jsonpath"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/strictyaml"
)

// wrong returns a mistake at a path of the file.
func wrong(path []any, format string, args ...any) error {
	return strictyaml.Wrong(fmt.Sprintf(format, args...), path...)
}

// to returns a path with further steps.
func to(path []any, steps ...any) []any { return append(slices.Clip(path), steps...) }

// check reports the first mistake in a scenario of a filter.
func (s *Scenario) check(filter catalog.Filter) error {
	if strings.TrimSpace(s.Description) == "" || strings.ContainsAny(s.Description, "\r\n\x00") {
		return wrong([]any{"description"}, "say in one line what the filter does here")
	}
	for _, check := range []func(catalog.Filter) error{s.checkProxy, s.checkServices, s.checkSteps, s.checkVariables, s.checkCalled} {
		if err := check(filter); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scenario) checkProxy(filter catalog.Filter) error {
	p := s.Proxy
	at := []any{"proxy"}
	if p.Workers < 0 || p.Workers > 64 {
		return wrong(to(at, "workers"), "%d is no number of worker threads; give 1 to 64, or leave it out", p.Workers)
	}
	if err := oneOf(to(at, "direction"), p.Direction, "", Inbound, Outbound); err != nil {
		return err
	}
	for i, e := range p.Except {
		if err := e.check(to(at, "except", i)); err != nil {
			return err
		}
		if strings.TrimSpace(e.Reason) == "" {
			return wrong(to(at, "except", i, "reason"), "say why the scenario is not played in Envoy %s", e.Envoy)
		}
	}
	if len(p.Chain) == 0 {
		return p.check(at)
	}
	if !reflect.ValueOf(p.Settings).IsZero() {
		return wrong(to(at, "chain"), "pluginConfig, vmConfig and failStrategy cannot stand beside chain; move them to a filter of the chain")
	}
	var names []string
	for i, link := range p.Chain {
		at := to(at, "chain", i)
		_, err := os.Stat(filepath.Join(filepath.Dir(filter.Dir), link.Filter, catalog.MetadataFile))
		switch {
		case link.Filter == "" || catalog.CheckName(link.Filter) != nil || err != nil:
			return wrong(to(at, "filter"), "the repository has no filter %q; name a folder of %s", link.Filter, filepath.Dir(filter.Dir))
		case slices.Contains(names, link.Filter):
			return wrong(to(at, "filter"), "%s is there twice; remove one", link.Filter)
		}
		names = append(names, link.Filter)
		if err := link.check(at); err != nil {
			return err
		}
	}
	if !slices.Contains(names, s.Filter) {
		return wrong(to(at, "chain"), "filter %s is not in it, beside which the scenario is; add it, or move the file", s.Filter)
	}
	return nil
}

// NewestEnvoy is the newest version of Envoy, as major.minor, for which a scenario may make an
// exception, and oldestEnvoy the oldest.
const (
	NewestEnvoy = "1.40"
	oldestEnvoy = "1.36"
)

var envoyVersion = regexp.MustCompile(`^1\.([0-9]{1,3})(\.[0-9]{1,3})?$`)

func (e Exception) check(at []any) error {
	minor := func(v string) int {
		match := envoyVersion.FindStringSubmatch(v)
		if match == nil {
			return -1
		}
		n, _ := strconv.Atoi(match[1]) // digits
		return n
	}
	if n := minor(e.Envoy); n < minor(oldestEnvoy) || n > minor(NewestEnvoy) {
		return wrong(to(at, "envoy"), "there is no Envoy %q to be had; give a version from %s to %s, such as %s or %s.0", e.Envoy, oldestEnvoy, NewestEnvoy, NewestEnvoy, NewestEnvoy)
	}
	return nil
}

// Leaves returns the reason why the scenario is not played in a version of Envoy, or "" if it is.
func (p Proxy) Leaves(version string) string {
	for _, e := range p.Except {
		if version == e.Envoy || strings.HasPrefix(version, e.Envoy+".") {
			return e.Reason
		}
	}
	return ""
}

func (s Settings) check(at []any) error {
	switch s.PluginConfig.(type) {
	case nil, string, map[string]any:
	default:
		return wrong(to(at, "pluginConfig"), "write an object, which reaches the filter as JSON, or a text in quotes")
	}
	if err := oneOf(to(at, "failStrategy"), s.FailStrategy, "", catalog.FailClose, catalog.FailOpen, catalog.FailReload); err != nil {
		return err
	}
	if s.VMConfig == nil {
		return nil
	}
	switch s.VMConfig.Configuration.(type) {
	case nil, string, map[string]any:
	default:
		return wrong(to(at, "vmConfig", "configuration"), "write an object, which reaches the filter as JSON, or a text in quotes")
	}
	// The rules are those of the manifests.
	apply := catalog.Apply{FailStrategy: catalog.FailOpen, VMConfig: catalog.VMConfig{Env: s.VMConfig.Env}}
	var mistake *strictyaml.Mistake
	if errors.As(apply.Check(), &mistake) {
		return strictyaml.Wrong(mistake.Text, to(at, mistake.Path[1:]...)...)
	}
	return nil
}

func (s *Scenario) checkServices(catalog.Filter) error {
	clusters := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		service := s.Services[name]
		at := []any{"services", name}
		if !namePattern.MatchString(name) {
			return wrong(at, "%q is no name of a service; use lowercase letters, digits and hyphens, and give the cluster's name as cluster", name)
		}
		cluster := s.Cluster(name)
		switch {
		case cluster == "upstream":
			return wrong(at, "upstream is the cluster behind the proxy; script it as the scenario's upstream, or choose another name")
		case cluster != "" && clusters[cluster] != "":
			return wrong(at, "service %s has the same cluster %s; give each its own", clusters[cluster], cluster)
		}
		if cluster != "" {
			clusters[cluster] = name
		}
		if err := service.check(at, filepath.Dir(s.File)); err != nil {
			return err
		}
	}
	if s.Upstream != nil {
		return s.Upstream.check([]any{"upstream"}, filepath.Dir(s.File))
	}
	return nil
}

// count returns how many of the values are true.
func count(values ...bool) int {
	n := 0
	for _, value := range values {
		if value {
			n++
		}
	}
	return n
}

func (s Script) check(at []any, dir string) error {
	if s.Answers != nil && len(s.Answers) == 0 {
		return wrong(to(at, "answers"), "is empty; leave it out for an answer with status 200")
	}
	for i, a := range s.Answers {
		at, last := to(at, "answers", i), i == len(s.Answers)-1
		answers := a.Status != 0 || a.Headers != nil || a.Body != (Body{}) || a.Delay != 0 && !a.Reset
		ways := count(a.Silent, a.Reset, a.Down, answers)
		switch {
		case a.Times < 0:
			return wrong(to(at, "times"), "%d is no number of calls", a.Times)
		case a.Times > 0 && last:
			return wrong(to(at, "times"), "the last answer is given to all calls that follow; remove times, or add the answer that follows")
		case ways > 1:
			return wrong(at, "silent, reset and down cannot stand beside another answer; keep one")
		case a.Down && !last:
			return wrong(to(at, "down"), "no call reaches a server that is down, so nothing can follow; make it the last answer")
		case a.Status != 0 && (a.Status < 200 || a.Status > 599):
			return wrong(to(at, "status"), "%d is no status of an answer; give 200 to 599", a.Status)
		}
		if err := checkHeaders(to(at, "headers"), a.Headers); err != nil {
			return err
		}
		if err := a.Body.check(to(at, "body"), dir); err != nil {
			return err
		}
	}
	return nil
}

// maxBody is the largest body that is made up.
const maxBody = 100 << 20

func (b Body) check(at []any, dir string) error {
	ways := count(b.Text != nil, b.File != "", b.Size != 0)
	if ways > 1 {
		return wrong(at, "text, file and size exclude each other; keep one")
	}
	if b.Size < 0 || b.Size > maxBody {
		return wrong(to(at, "size"), "%d is no size; give 1 to %d bytes", b.Size, maxBody)
	}
	if b.File != "" {
		if !filepath.IsLocal(b.File) {
			return wrong(to(at, "file"), "%s is not within the scenario's folder; give a path relative to it", b.File)
		}
		if info, err := os.Stat(filepath.Join(dir, b.File)); err != nil || !info.Mode().IsRegular() {
			return wrong(to(at, "file"), "there is no file %s", filepath.Join(dir, b.File))
		}
	}
	return nil
}

// Cluster returns the name of a service's cluster in the proxy. It is empty if the place that
// plays the scenario chooses it: a configuration refers to it as ${services.NAME.cluster}.
func (s *Scenario) Cluster(service string) string {
	if cluster := s.Services[service].Cluster; cluster != "" {
		return cluster
	}
	refers := false
	reference := "${services." + service + ".cluster}"
	s.configurations(func(text string) { refers = refers || strings.Contains(text, reference) })
	if refers {
		return ""
	}
	return service
}

// configurations calls visit with each text of all configurations, environment variables
// included.
func (s *Scenario) configurations(visit func(text string)) {
	all := func(text string, _ []any) error { visit(text); return nil }
	_ = texts(reflect.ValueOf(s.Proxy.Settings), nil, all)
	_ = texts(reflect.ValueOf(s.Proxy.Chain), nil, all)
	for _, step := range s.Steps {
		if step.Change != nil {
			_ = texts(reflect.ValueOf(step.Change.PluginConfig), nil, all)
		}
	}
}

// checkCalled refuses a service that no filter calls: no configuration and no source of the
// chain's filters has its cluster's name.
func (s *Scenario) checkCalled(filter catalog.Filter) error {
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		cluster := s.Cluster(name)
		if cluster == "" {
			continue // some configuration refers to it
		}
		called := false
		s.configurations(func(text string) { called = called || strings.Contains(text, cluster) })
		for _, link := range s.Links() {
			called = called || mentions(filepath.Join(filepath.Dir(filter.Dir), link.Filter), cluster)
		}
		if !called {
			return wrong([]any{"services", name}, "no filter calls it: no configuration has the cluster's name %q; write it or ${services.%s.cluster} into one, or remove the service", cluster, name)
		}
	}
	return nil
}

// mentions reports whether filter.yaml or a source in a filter's folder has a text.
func mentions(dir, text string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return false
	}
	for _, file := range files {
		base := filepath.Base(file)
		if base != catalog.MetadataFile && (filepath.Ext(base) != ".go" || strings.HasSuffix(base, "_test.go")) {
			continue
		}
		if data, err := os.ReadFile(file); err == nil && strings.Contains(string(data), text) {
			return true
		}
	}
	return false
}

func (s *Scenario) checkSteps(catalog.Filter) error {
	if err := checkPhrases([]any{"never"}, s.Never); err != nil {
		return err
	}
	if len(s.Steps) == 0 {
		return wrong([]any{"steps"}, "there is none, so that the scenario checks nothing; add one with a request and what must be seen")
	}
	var names []string
	for i, step := range s.Steps {
		at := []any{"steps", i}
		if strings.TrimSpace(step.Name) == "" || strings.ContainsAny(step.Name, "\r\n\x00") {
			return wrong(to(at, "name"), "say in one line what is seen")
		}
		if slices.Contains(names, step.Name) {
			return wrong(to(at, "name"), "another step has the same name; choose another one")
		}
		names = append(names, step.Name)
		if err := s.checkStep(at, i, step); err != nil {
			return err
		}
	}
	if s.Bench && s.Steps[0].Request == nil {
		return wrong([]any{"bench"}, "the first step has no request that could be measured; add one, or remove bench")
	}
	return nil
}

func (s *Scenario) checkStep(at []any, i int, step Step) error {
	if time.Duration(step.Within) > time.Hour {
		return wrong(to(at, "within"), "is longer than an hour")
	}
	if err := s.checkChange(to(at, "change"), step.Change); err != nil {
		return err
	}
	if err := step.Request.check(to(at, "request"), filepath.Dir(s.File)); err != nil {
		return err
	}
	e, at := step.Expect, to(at, "expect")
	if e.empty() {
		return wrong(at, "the step checks nothing, so that it cannot fail; say what must be seen")
	}
	if e.Response != nil {
		switch {
		case step.Request == nil:
			return wrong(to(at, "response"), "the step sends no request; add one, or remove the response")
		case step.Request.AbortAfter != 0:
			return wrong(to(at, "response"), "the client hangs up and sees none; remove abortAfter or the response")
		}
		if err := e.Response.check(to(at, "response")); err != nil {
			return err
		}
	}
	if e.Upstream != nil {
		if err := e.Upstream.check(to(at, "upstream")); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Services)) {
		at := to(at, "services", name)
		if _, ok := s.Services[name]; !ok {
			return unknown(at, "service", name, slices.Sorted(maps.Keys(s.Services)))
		}
		if err := e.Services[name].check(at); err != nil {
			return err
		}
	}
	for _, numbers := range []struct {
		field string
		all   map[string]Number
	}{{"statistics", e.Statistics}, {"prometheus", e.Prometheus}} {
		for _, name := range slices.Sorted(maps.Keys(numbers.all)) {
			if err := numbers.all[name].check(to(at, numbers.field, name)); err != nil {
				return err
			}
		}
	}
	if err := checkPhrases(to(at, "never"), e.Never); err != nil {
		return err
	}
	for j, line := range e.Log {
		if err := line.check(to(at, "log", j), slices.Concat(e.Never, s.Never)); err != nil {
			return err
		}
	}
	if e.Refusal == nil {
		return nil
	}
	if i > 0 && (step.Change == nil || step.Change.PluginConfig == nil) {
		return wrong(to(at, "refusal"), "only the first step, and one that changes pluginConfig, has a configuration that could be refused")
	}
	if reflect.DeepEqual(e.Refusal.Message, Phrase{}) {
		return wrong(to(at, "refusal", "message"), "say what the filter logs about it")
	}
	return checkPhrases(to(at, "refusal", "message"), []Phrase{e.Refusal.Message})
}

func (e Expect) empty() bool {
	return (e.Response == nil || reflect.DeepEqual(*e.Response, Response{})) && (e.Upstream == nil || reflect.DeepEqual(*e.Upstream, Seen{})) &&
		len(e.Services) == 0 && len(e.Statistics) == 0 && len(e.Prometheus) == 0 && len(e.Log) == 0 && len(e.Never) == 0 && e.Refusal == nil
}

func (s *Scenario) checkChange(at []any, c *Change) error {
	if c == nil {
		return nil
	}
	if c.PluginConfig == nil && len(c.Services) == 0 && c.Upstream == nil {
		return wrong(at, "changes nothing; give pluginConfig, services or upstream")
	}
	if err := (Settings{PluginConfig: c.PluginConfig}).check(at); err != nil {
		return err
	}
	links := s.Links()
	named := slices.ContainsFunc(links, func(l Link) bool { return l.Filter == c.Filter })
	switch {
	case c.Filter != "" && !named:
		return wrong(to(at, "filter"), "%q is not in the chain", c.Filter)
	case c.Filter == "" && c.PluginConfig != nil && len(links) > 1:
		return wrong(to(at, "pluginConfig"), "the chain has several filters; say with filter which one gets it")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		at := to(at, "services", name)
		if _, ok := s.Services[name]; !ok {
			return unknown(at, "service", name, slices.Sorted(maps.Keys(s.Services)))
		}
		if err := c.Services[name].check(at, filepath.Dir(s.File)); err != nil {
			return err
		}
	}
	if c.Upstream == nil {
		return nil
	}
	if s.Upstream == nil {
		return wrong(to(at, "upstream"), "only an upstream that the scenario scripts can change; add upstream to the scenario")
	}
	return c.Upstream.check(to(at, "upstream"), filepath.Dir(s.File))
}

var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (r *Request) check(at []any, dir string) error {
	if r == nil {
		return nil
	}
	switch {
	case r.Method != "" && !token.MatchString(r.Method):
		return wrong(to(at, "method"), "%q is no method; write one such as GET", r.Method)
	case r.Method == http.MethodConnect:
		return wrong(to(at, "method"), "CONNECT opens a tunnel, and has no path and no answer like others; use another method")
	case r.Path != "" && (!strings.HasPrefix(r.Path, "/") || strings.ContainsFunc(r.Path, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '#' })):
		return wrong(to(at, "path"), "%q is no path of a request; begin with a slash, and escape spaces, control characters and # as %%20", r.Path)
	case strings.ContainsFunc(r.Authority, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '/' }):
		return wrong(to(at, "authority"), "%q is no authority; write one such as shop.example:8080", r.Authority)
	case r.Times < 0 || r.Times > 10000:
		return wrong(to(at, "times"), "%d is out of range; give 1 to 10000", r.Times)
	case r.Parallel < 0 || r.Parallel > 256:
		return wrong(to(at, "parallel"), "%d is out of range; give 1 to 256", r.Parallel)
	case r.Parallel > max(r.Times, 1):
		return wrong(to(at, "parallel"), "%d requests cannot be side by side when there are %d; give times", r.Parallel, max(r.Times, 1))
	}
	if err := oneOf(to(at, "protocol"), r.Protocol, "", HTTP11, HTTP2); err != nil {
		return err
	}
	if err := checkHeaders(to(at, "headers"), r.Headers); err != nil {
		return err
	}
	return r.Body.check(to(at, "body"), dir)
}

// framing are the headers that say how a message is sent. Client and server write them.
var framing = []string{"connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// checkHeaders refuses headers that HTTP forbids to send.
//
// Reference: https://www.rfc-editor.org/rfc/rfc9110.html#name-field-values
func checkHeaders(at []any, headers map[string]Values) error {
	if err := checkHeaderNames(at, headers); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if slices.Contains(framing, strings.ToLower(name)) {
			mend := "remove it"
			if strings.EqualFold(name, "host") {
				mend = "write it as the request's authority"
			}
			return wrong(to(at, name), "%s is written by client and server themselves; %s", name, mend)
		}
		for _, value := range headers[name] {
			if strings.ContainsAny(value, "\r\n\x00") {
				return wrong(to(at, name), "the value has a line break or a NUL, which HTTP forbids; write it in one line")
			}
			if strings.Trim(value, " \t") != value {
				return wrong(to(at, name), "the value has spaces at an end, which HTTP removes; remove them")
			}
		}
	}
	return nil
}

func checkHeaderNames[V any](at []any, headers map[string]V) error {
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(name, ":"):
			return wrong(to(at, name), "%s is no header; use status, method, path and authority", name)
		case !token.MatchString(name):
			return wrong(to(at, name), "header name %q is not a token, so that HTTP forbids it; use letters, digits and hyphens", name)
		case seen[lower] != "":
			return wrong(to(at, name), "%s is the same header as %s; keep one", name, seen[lower])
		default:
			seen[lower] = name
		}
	}
	return nil
}

func (r *Response) check(at []any) error {
	if r.Status != 0 && (r.Status < 100 || r.Status > 599) {
		return wrong(to(at, "status"), "%d is no status; give 100 to 599", r.Status)
	}
	if err := checkTexts(to(at, "headers"), r.Headers); err != nil {
		return err
	}
	if (r.Status == http.StatusNoContent || r.Status == http.StatusNotModified) && r.Body != nil && !r.Body.nothing() {
		return wrong(to(at, "body"), "a response with status %d has no body, which contradicts; remove one of the two", r.Status)
	}
	return r.Body.check(to(at, "body"))
}

func (s Seen) check(at []any) error {
	if reflect.DeepEqual(s, Seen{}) {
		return wrong(at, "says nothing about what was seen; give calls, method, path, authority, headers or body")
	}
	if s.Method != "" && !token.MatchString(s.Method) {
		return wrong(to(at, "method"), "%q is no method", s.Method)
	}
	if c := s.Calls; c != nil {
		at := to(at, "calls")
		switch {
		case c.Exactly != nil && (c.AtLeast != nil || c.AtMost != nil):
			return wrong(at, "exactly says it all; remove atLeast and atMost")
		case crossed(c.AtLeast, c.AtMost):
			return wrong(at, "atLeast is more than atMost, which contradicts; correct one")
		case c.Exactly != nil && *c.Exactly < 0 || c.AtLeast != nil && *c.AtLeast < 0 || c.AtMost != nil && *c.AtMost < 0:
			return wrong(at, "a number of calls is not below zero")
		case c.Exactly == nil && c.AtLeast == nil && c.AtMost == nil && c.Apart == 0:
			return wrong(at, "says nothing; give a number, atLeast, atMost or apart")
		case c.none() && !reflect.DeepEqual(s, Seen{Calls: c}):
			return wrong(at, "no call has a method, path, header or body, which contradicts; remove what it is said to have")
		}
	}
	for _, text := range []struct {
		field string
		text  *Text
	}{{"path", s.Path}, {"authority", s.Authority}} {
		if text.text != nil {
			if err := text.text.check(to(at, text.field)); err != nil {
				return err
			}
		}
	}
	if err := checkTexts(to(at, "headers"), s.Headers); err != nil {
		return err
	}
	return s.Body.check(to(at, "body"))
}

// none reports whether there must be no call.
func (c Calls) none() bool {
	return c.Exactly != nil && *c.Exactly == 0 || c.AtMost != nil && *c.AtMost == 0
}

func checkTexts(at []any, all map[string]Text) error {
	if err := checkHeaderNames(at, all); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := all[name].check(to(at, name)); err != nil {
			return err
		}
	}
	return nil
}

func (t Text) check(at []any) error {
	ways := count(t.Exactly != nil, t.Absent, t.Contains != nil || t.Pattern != "")
	switch {
	case ways == 0:
		return wrong(at, "says nothing; write a text, a list of texts, contains, pattern, or absent: true")
	case ways > 1:
		return wrong(at, "exactly, absent, and contains with pattern contradict each other or say too much; keep one")
	}
	return checkPattern(at, t.Pattern)
}

func checkPattern(at []any, pattern string) error {
	if pattern == "" {
		return nil
	}
	if _, err := regexp.Compile(withoutVariables(pattern)); err != nil {
		return wrong(to(at, "pattern"), "is no regular expression: %s; see https://pkg.go.dev/regexp/syntax", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

// withoutVariables is a pattern with a letter for each variable.
func withoutVariables(pattern string) string { return variable.ReplaceAllString(pattern, "x") }

// nothing reports whether the body must be empty.
func (c *Content) nothing() bool {
	return c.Exactly != nil && *c.Exactly == "" || c.Size != nil && *c.Size == 0
}

func (c *Content) check(at []any) error {
	if c == nil {
		return nil
	}
	switch {
	case reflect.DeepEqual(*c, Content{}):
		return wrong(at, "says nothing; write a text, contains, pattern, json or size")
	case c.Exactly != nil && !reflect.DeepEqual(*c, Content{Exactly: c.Exactly}):
		return wrong(at, "exactly says it all; remove what stands beside it")
	case c.Size != nil && *c.Size < 0:
		return wrong(to(at, "size"), "%d is no size", *c.Size)
	case c.Size != nil && slices.ContainsFunc(c.Contains, func(s string) bool { return int64(len(s)) > *c.Size && !variable.MatchString(s) }):
		return wrong(to(at, "size"), "%d bytes cannot contain a longer text, which contradicts; correct one", *c.Size)
	}
	if err := checkPattern(at, c.Pattern); err != nil {
		return err
	}
	return checkJSON(to(at, "json"), c.JSON)
}

func checkJSON(at []any, all map[string]JSONValue) error {
	for _, path := range slices.Sorted(maps.Keys(all)) {
		at := to(at, path)
		if _, err := jsonpath.Parse(path); err != nil {
			return wrong(at, "is no JSON path: %v; write one such as $.name or $['a name'][0] (RFC 9535)", err)
		}
		v := all[path]
		ways := count(v.Value != nil, v.Exactly != nil, v.Contains != nil || v.Pattern != "", v.AtLeast != nil || v.AtMost != nil, v.Absent)
		switch {
		case ways > 1:
			return wrong(at, "exactly, absent, contains with pattern, and atLeast with atMost exclude each other; keep one")
		case crossed(v.AtLeast, v.AtMost):
			return wrong(at, "atLeast is more than atMost, which contradicts; correct one")
		}
		if err := checkPattern(at, v.Pattern); err != nil {
			return err
		}
	}
	return nil
}

func (n Number) check(at []any) error {
	histogram := n.Samples != nil || n.P50 != nil || n.P90 != nil || n.P99 != nil
	value := n.Is != nil || n.Same != "" || n.AtLeast != nil || n.AtMost != nil
	grown := n.By != nil || n.ByAtLeast != nil || n.ByAtMost != nil
	switch {
	case !histogram && !value && !grown:
		return wrong(at, "says nothing; write the value, or by: 1 for how much it grows")
	case histogram && (value || grown):
		return wrong(at, "samples and quantiles are a histogram's, which has no other value; keep one kind")
	case n.Is != nil && n.Same != "" || (n.Is != nil || n.Same != "") && (n.AtLeast != nil || n.AtMost != nil):
		return wrong(at, "is or same says it all; remove what stands beside it")
	case n.By != nil && (n.ByAtLeast != nil || n.ByAtMost != nil):
		return wrong(at, "by says it all; remove byAtLeast and byAtMost")
	case crossed(n.AtLeast, n.AtMost), crossed(n.ByAtLeast, n.ByAtMost):
		return wrong(at, "the lower limit is more than the upper one, which contradicts; correct one")
	case n.Is != nil && n.By != nil && *n.Is < *n.By:
		return wrong(at, "a counter that has grown by %d is not %d, which contradicts; correct one", *n.By, *n.Is)
	}
	for _, q := range []struct {
		field  string
		limits *Limits
	}{{"p50", n.P50}, {"p90", n.P90}, {"p99", n.P99}} {
		if q.limits == nil {
			continue
		}
		if q.limits.AtLeast == nil && q.limits.AtMost == nil {
			return wrong(to(at, q.field), "says nothing; give atLeast or atMost")
		}
		if crossed(q.limits.AtLeast, q.limits.AtMost) {
			return wrong(to(at, q.field), "atLeast is more than atMost, which contradicts; correct one")
		}
	}
	return nil
}

func crossed[N int64 | float64](low, high *N) bool { return low != nil && high != nil && *low > *high }

func checkPhrases(at []any, phrases []Phrase) error {
	for i, p := range phrases {
		at := to(at, i)
		switch {
		case len(p.Contains) == 0 && p.Pattern == "":
			return wrong(at, "says nothing; write a text, contains or pattern")
		case slices.Contains(p.Contains, ""):
			return wrong(at, "every line contains the empty text; write another one")
		}
		if err := checkPattern(at, p.Pattern); err != nil {
			return err
		}
	}
	return nil
}

var levels = []string{"trace", "debug", "info", "warning", "error", "critical"}

func (l Line) check(at []any, never []Phrase) error {
	if reflect.DeepEqual(l, Line{Level: l.Level, Times: l.Times}) && l.Level == "" {
		return wrong(at, "says nothing of the line; give contains, pattern, level or json")
	}
	if err := oneOf(to(at, "level"), l.Level, append([]string{""}, levels...)...); err != nil {
		return err
	}
	if l.Times != nil && (*l.Times < 0 || *l.Times > math.MaxInt32) {
		return wrong(to(at, "times"), "%d is no number of lines", *l.Times)
	}
	if err := checkPattern(at, l.Pattern); err != nil {
		return err
	}
	for _, phrase := range never {
		// A line with all these texts has one that it must not have.
		forbidden := len(phrase.Contains) > 0 && phrase.Pattern == "" && (l.Times == nil || *l.Times > 0)
		for _, text := range phrase.Contains {
			forbidden = forbidden && slices.ContainsFunc(l.Contains, func(s string) bool { return strings.Contains(s, text) })
		}
		if forbidden {
			return wrong(at, "never says that no line has %q, which contradicts; correct one", []string(phrase.Contains))
		}
	}
	return checkJSON(to(at, "json"), l.JSON)
}

// checkVariables refuses a variable that nothing gives a value.
func (s *Scenario) checkVariables(catalog.Filter) error {
	groups := map[string]bool{}
	check := func(allowed func(name string) bool) func(string, []any) error {
		return func(text string, path []any) error {
			for _, found := range variable.FindAllStringSubmatch(text, -1) {
				if found[0] != "$${" && !allowed(found[1]) {
					return wrong(path, "nothing gives ${%s} a value; see the variables in the reference, or write $${ for ${ itself", found[1])
				}
			}
			return nil
		}
	}
	service := func(name string) bool {
		service, _, _, ok := ServiceVariable(name)
		_, known := s.Services[service]
		return ok && known
	}
	cluster := func(name string) bool {
		_, what, _, _ := ServiceVariable(name)
		return service(name) && what == ClusterOf
	}
	if err := texts(reflect.ValueOf(s.Proxy), []any{"proxy"}, check(cluster)); err != nil {
		return err
	}
	isCall := func(name string) bool { return name == call }
	if err := texts(reflect.ValueOf(s.Services), []any{"services"}, check(isCall)); err != nil {
		return err
	}
	if err := texts(reflect.ValueOf(s.Upstream), []any{"upstream"}, check(isCall)); err != nil {
		return err
	}
	later := func(name string) bool { return service(name) || groups[name] }
	for i, step := range s.Steps {
		at := []any{"steps", i}
		_ = texts(reflect.ValueOf(step.Expect), nil, func(text string, path []any) error {
			if len(path) > 0 && path[len(path)-1] == "pattern" {
				if pattern, err := regexp.Compile(withoutVariables(text)); err == nil {
					for _, name := range pattern.SubexpNames() {
						groups[name] = true
					}
				}
			}
			return nil
		})
		if step.Change != nil {
			if err := texts(reflect.ValueOf(step.Change.PluginConfig), to(at, "change", "pluginConfig"), check(cluster)); err != nil {
				return err
			}
			if err := texts(reflect.ValueOf(step.Change.Services), to(at, "change", "services"), check(isCall)); err != nil {
				return err
			}
			if err := texts(reflect.ValueOf(step.Change.Upstream), to(at, "change", "upstream"), check(isCall)); err != nil {
				return err
			}
		}
		if err := texts(reflect.ValueOf(step.Request), to(at, "request"), check(later)); err != nil {
			return err
		}
		if err := texts(reflect.ValueOf(step.Expect), to(at, "expect"), check(later)); err != nil {
			return err
		}
	}
	return texts(reflect.ValueOf(s.Never), []any{"never"}, check(later))
}

func oneOf(at []any, value string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
	return unknown(at, "word", value, values)
}

func unknown(at []any, what, value string, known []string) error {
	if near := strictyaml.Nearest(value, known); near != "" {
		return wrong(at, "unknown %s %q; did you mean %q?", what, value, near)
	}
	if len(known) == 0 {
		return wrong(at, "unknown %s %q; the scenario has none", what, value)
	}
	return wrong(at, "unknown %s %q; write %s", what, value, strings.Join(known, ", "))
}
