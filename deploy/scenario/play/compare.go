package play

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/theory/jsonpath"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// mismatch is one expectation that does not hold.
type mismatch struct {
	what, want, seen string
	stays            bool // whatever happens
}

func miss(what, want, seen string) mismatch { return mismatch{what: what, want: want, seen: seen} }

// String shows what was expected beside what was seen.
func (m mismatch) String() string {
	if strings.Contains(m.want, "\n") || strings.Contains(m.seen, "\n") {
		return m.what + ":\n" + indent(strings.TrimRight(udiff.Unified("expected", "seen", ended(m.want), ended(m.seen)), "\n"), "    ")
	}
	return fmt.Sprintf("%s:\n    - %s\n    + %s", m.what, m.want, m.seen)
}

func ended(text string) string { return strings.TrimRight(text, "\n") + "\n" }

func indent(text, by string) string {
	return by + strings.ReplaceAll(text, "\n", "\n"+by)
}

// expand replaces the variables in a text.
func (p *player) expand(text string) (string, error) {
	return scenario.Expand(text, p.variable)
}

func (p *player) variable(name string) (string, error) {
	if value, ok := p.groups[name]; ok {
		return value, nil
	}
	service, what, header, ok := scenario.ServiceVariable(name)
	servers, can := p.place.(Servers)
	if !ok || !can {
		return "", fmt.Errorf("${%s} has no value yet", name)
	}
	switch what {
	case scenario.ClusterOf:
		return servers.Cluster(service), nil
	case scenario.CallsOf:
		return strconv.Itoa(len(servers.Server(service).Calls())), nil
	}
	for _, call := range slices.Backward(servers.Server(service).Calls()) {
		if values := call.Answer.Values(header); len(values) > 0 {
			return values[0], nil
		}
	}
	return "", fmt.Errorf("${%s} has no value yet: no answer of %s had the header", name, service)
}

// pattern compiles a pattern, in which variables stand for their texts.
func (p *player) pattern(text string) (*regexp.Regexp, error) {
	expanded, err := scenario.Expand(text, func(name string) (string, error) {
		value, err := p.variable(name)
		return regexp.QuoteMeta(value), err
	})
	if err != nil {
		return nil, err
	}
	return regexp.Compile(expanded)
}

// keep keeps what the named groups of a pattern have matched.
func (p *player) keep(pattern *regexp.Regexp, text string) bool {
	match := pattern.FindStringSubmatch(text)
	for i, name := range pattern.SubexpNames() {
		if name != "" && match != nil {
			p.groups[name] = match[i]
		}
	}
	return match != nil
}

// expandAll returns nil for nil: nothing is expected.
func (p *player) expandAll(texts []string) ([]string, error) {
	if texts == nil {
		return nil, nil
	}
	expanded := make([]string, len(texts))
	for i, text := range texts {
		var err error
		if expanded[i], err = p.expand(text); err != nil {
			return nil, err
		}
	}
	return expanded, nil
}

// text compares the values of a header, or another text.
func (p *player) text(what string, want scenario.Text, seen []string) []mismatch {
	show := shown(seen)
	if want.Absent {
		if len(seen) > 0 {
			return []mismatch{miss(what, "absent", show)}
		}
		return nil
	}
	exactly, err := p.expandAll(want.Exactly)
	if err != nil {
		return []mismatch{miss(what, err.Error(), show)}
	}
	if exactly != nil && !slices.Equal(exactly, seen) {
		return []mismatch{miss(what, shown(exactly), show)}
	}
	return p.parts(what, want.Contains, want.Pattern, seen, show)
}

// parts compares parts of texts. Each part has to be in one of the texts.
func (p *player) parts(what string, contains []string, pattern string, seen []string, show string) []mismatch {
	contains, err := p.expandAll(contains)
	if err != nil {
		return []mismatch{miss(what, err.Error(), show)}
	}
	for _, part := range contains {
		if !slices.ContainsFunc(seen, func(s string) bool { return strings.Contains(s, part) }) {
			return []mismatch{miss(what, fmt.Sprintf("contains %q", part), show)}
		}
	}
	if pattern == "" {
		return nil
	}
	compiled, err := p.pattern(pattern)
	if err != nil {
		return []mismatch{miss(what, err.Error(), show)}
	}
	if !slices.ContainsFunc(seen, func(s string) bool { return p.keep(compiled, s) }) {
		return []mismatch{miss(what, "matches "+compiled.String(), show)}
	}
	return nil
}

func shown(values []string) string {
	switch len(values) {
	case 0:
		return "absent"
	case 1:
		return fmt.Sprintf("%q", values[0])
	}
	return fmt.Sprintf("%q", values)
}

func (p *player) headers(what string, want map[string]scenario.Text, seen http.Header) []mismatch {
	var all []mismatch
	for _, name := range slices.Sorted(maps.Keys(want)) {
		all = append(all, p.text(what+" header "+name, want[name], seen.Values(name))...)
	}
	return all
}

// content compares a body.
func (p *player) content(what string, want *scenario.Content, seen []byte) []mismatch {
	if want == nil {
		return nil
	}
	show := string(seen)
	if len(show) > shownBody {
		show = fmt.Sprintf("%s... (%d bytes)", show[:shownBody], len(seen))
	}
	if want.Size != nil && int64(len(seen)) != *want.Size {
		return []mismatch{miss(what, fmt.Sprintf("%d bytes", *want.Size), fmt.Sprintf("%d bytes", len(seen)))}
	}
	if want.Exactly != nil {
		exactly, err := p.expand(*want.Exactly)
		if err != nil {
			return []mismatch{miss(what, err.Error(), show)}
		}
		if exactly != string(seen) {
			if !strings.Contains(exactly+show, "\n") {
				exactly, show = fmt.Sprintf("%q", exactly), fmt.Sprintf("%q", show)
			}
			return []mismatch{miss(what, exactly, show)}
		}
	}
	if m := p.parts(what, want.Contains, want.Pattern, []string{string(seen)}, show); m != nil {
		return m
	}
	if want.JSON == nil {
		return nil
	}
	var document any
	if err := json.Unmarshal(seen, &document); err != nil {
		return []mismatch{miss(what, "JSON", fmt.Sprintf("%s (%v)", show, err))}
	}
	return p.json(what, want.JSON, document)
}

// json compares values of a document.
func (p *player) json(what string, want map[string]scenario.JSONValue, document any) []mismatch {
	var all []mismatch
	for _, text := range slices.Sorted(maps.Keys(want)) {
		path, err := jsonpath.Parse(text)
		if err != nil {
			all = append(all, miss(what+" "+text, err.Error(), ""))
			continue
		}
		all = append(all, p.jsonValue(what+" "+text, want[text], path.Select(document))...)
	}
	return all
}

func (p *player) jsonValue(what string, want scenario.JSONValue, nodes []any) []mismatch {
	var seen any = nodes
	if len(nodes) == 1 {
		seen = nodes[0]
	}
	show := asJSON(seen)
	if len(nodes) == 0 {
		show = "absent"
	}
	differs := func(want string) []mismatch { return []mismatch{miss(what, want, show)} }
	number, isNumber := seen.(float64)
	text, isText := seen.(string)
	switch {
	case want.Absent:
		if len(nodes) > 0 {
			return differs("absent")
		}
		return nil
	case want.AtLeast != nil && (!isNumber || number < *want.AtLeast):
		return differs(fmt.Sprintf("a number, at least %g", *want.AtLeast))
	case want.AtMost != nil && (!isNumber || number > *want.AtMost):
		return differs(fmt.Sprintf("a number, at most %g", *want.AtMost))
	case want.AtLeast != nil || want.AtMost != nil:
		return nil
	case want.Contains != nil || want.Pattern != "":
		if !isText {
			return differs("a text")
		}
		return p.parts(what, want.Contains, want.Pattern, []string{text}, show)
	}
	exactly := want.Value
	if want.Exactly != nil {
		exactly = want.Exactly
	}
	expanded, err := p.expandJSON(exactly)
	if err != nil {
		return differs(err.Error())
	}
	if len(nodes) == 0 || !reflect.DeepEqual(expanded, seen) {
		return differs(asJSON(expanded))
	}
	return nil
}

// expandJSON returns a value as encoding/json reads it, with the variables in its texts
// replaced.
func (p *player) expandJSON(value any) (any, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	var expand func(any) (any, error)
	expand = func(v any) (any, error) {
		var err error
		switch v := v.(type) {
		case string:
			return p.expand(v)
		case []any:
			for i := range v {
				if v[i], err = expand(v[i]); err != nil {
					return nil, err
				}
			}
		case map[string]any:
			for key := range v {
				if v[key], err = expand(v[key]); err != nil {
					return nil, err
				}
			}
		}
		return v, nil
	}
	return expand(v)
}

func asJSON(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

// response compares what the client saw, of each response.
func (p *player) response(want *scenario.Response, responses []*response) []mismatch {
	if want == nil {
		return nil
	}
	for i, r := range responses {
		what := "the response's"
		if len(responses) > 1 {
			what = fmt.Sprintf("response %d of %d's", i+1, len(responses))
		}
		var all []mismatch
		if want.Status != 0 && int64(r.status) != want.Status {
			seen := fmt.Sprint(r.status)
			if len(r.body) > 0 && len(r.body) < 200 {
				seen += fmt.Sprintf(" %q", r.body)
			}
			all = append(all, miss(what+" status", fmt.Sprint(want.Status), seen))
		}
		all = append(all, p.headers(what, want.Headers, r.header)...)
		if all = append(all, p.content(what+" body", want.Body, r.body)...); all != nil {
			return all
		}
	}
	return nil
}
