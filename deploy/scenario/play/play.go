package play

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/server"
)

// Played is what became of a scenario.
type Played struct {
	// Steps are how many steps were played, the failed one included.
	Steps int
	// LeftOut says what the place could not do, and why. Empty: everything was played.
	LeftOut []string
}

// Error is a step that failed.
type Error struct {
	// Scenario is the scenario, and Step the step's name.
	Scenario *scenario.Scenario
	Step     string
	// Text says what was expected and what was seen, with the request, the curl that repeats
	// it, and what was logged since the step began. It has several lines.
	Text string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: step %q:\n%s", e.Scenario.File, e.Step, indent(e.Text, "  "))
}

// player is one run of a scenario.
type player struct {
	scenario *scenario.Scenario
	place    Place
	groups   map[string]string
	leftOut  []string

	// What was there when the step before had ended.
	mark  int // log lines
	calls map[string]int

	fresh                bool       // statistics count from zero
	base, basePrometheus statistics // what was counted before, if not
}

// Play plays the steps of a scenario at a place that runs its filters. It stops at the first
// step that fails, with an *Error. If the place lacks something without which nothing can be
// played, Played says so and no step is played.
func Play(ctx context.Context, s *scenario.Scenario, place Place) (Played, error) {
	p := newPlayer(s, place)
	for _, part := range s.Needs() {
		p.can(part)
	}
	played := Played{LeftOut: p.leftOut}
	if len(p.leftOut) > 0 {
		return played, nil
	}
	if err := p.readBase(ctx); err != nil {
		return played, err
	}
	for i := range s.Steps {
		played.Steps++
		err := p.step(ctx, i)
		played.LeftOut = p.leftOut
		if err != nil {
			return played, err
		}
	}
	return played, nil
}

func newPlayer(s *scenario.Scenario, place Place) *player {
	p := &player{scenario: s, place: place, groups: map[string]string{}, calls: map[string]int{}}
	if fresh, ok := place.(Fresh); ok {
		p.fresh = fresh.Fresh()
	}
	return p
}

// readBase reads what was counted before the scenario began, if it matters.
func (p *player) readBase(ctx context.Context) (err error) {
	if p.fresh {
		return nil
	}
	if dated, ok := p.place.(Dated); ok {
		p.base, p.basePrometheus = parseStatistics(dated.Before(StatisticsPage)), parsePrometheus(dated.Before(PrometheusPage))
		return nil
	}
	whole := &attempt{Step: &scenario.Step{}}
	for _, step := range p.scenario.Steps {
		if len(step.Expect.Statistics) > 0 {
			whole.Expect.Statistics = step.Expect.Statistics
		}
		if len(step.Expect.Prometheus) > 0 {
			whole.Expect.Prometheus = step.Expect.Prometheus
		}
	}
	err = p.readBefore(ctx, whole)
	p.base, p.basePrometheus = whole.before, whole.beforePrometheus
	return err
}

// can reports whether the place can do a part. If not, it notes why.
func (p *player) can(part scenario.Part) bool {
	why := p.place.Lacks(part)
	if why == "" {
		return true
	}
	if left := fmt.Sprintf("%s: %s", part, why); !slices.Contains(p.leftOut, left) {
		p.leftOut = append(p.leftOut, left)
	}
	return false
}

// attempt is what a step has done by now.
type attempt struct {
	*scenario.Step
	deadline  time.Time
	message   *message // nil without a request
	responses []*response
	sent      int // times that the request was sent
	upstream  int // calls that the upstream had seen before

	before, beforePrometheus statistics
}

// pollInterval is the time between two looks at what may still come.
const pollInterval = 20 * time.Millisecond

func (p *player) step(ctx context.Context, i int) error {
	a := &attempt{Step: &p.scenario.Steps[i], upstream: p.calls[""]}
	var err error
	a.before, a.beforePrometheus = p.base, p.basePrometheus
	if i > 0 {
		if err = p.readBefore(ctx, a); err != nil {
			return p.failed(ctx, a, nil, err)
		}
	}
	if err = p.change(ctx, a.Change); err != nil {
		return p.failed(ctx, a, nil, err)
	}
	within := time.Duration(a.Within)
	if within == 0 {
		within = scenario.LateDefault
	}
	a.deadline = time.Now().Add(within)
	if err := p.send(ctx, a, true); err != nil && a.Within == 0 {
		return p.failed(ctx, a, nil, err)
	}
	for {
		again, mismatches, err := p.look(ctx, a)
		if err == nil && len(mismatches) == 0 {
			break
		}
		over := time.Now().After(a.deadline) || ctx.Err() != nil
		if over || err != nil && a.Within == 0 {
			return p.failed(ctx, a, mismatches, err)
		}
		if settled(a, again, mismatches) {
			return p.failed(ctx, a, mismatches, nil)
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
		}
		if again && a.Within != 0 {
			_ = p.send(ctx, a, false) // look says what is wrong
		}
	}
	return p.end(ctx)
}

// settled reports whether nothing can mend a mismatch any more: what the client or the upstream
// has seen does not change without another request, and what was logged stays.
func settled(a *attempt, again bool, mismatches []mismatch) bool {
	return again && a.Within == 0 || slices.ContainsFunc(mismatches, func(m mismatch) bool { return m.stays })
}

// end marks the end of a step.
func (p *player) end(ctx context.Context) error {
	lines, err := p.place.Log(ctx)
	p.mark = len(lines)
	if servers, ok := p.place.(Servers); ok {
		for _, name := range append(slices.Collect(maps.Keys(p.scenario.Services)), "") {
			if s := servers.Server(name); s != nil {
				p.calls[name] = len(s.Calls())
			}
		}
	}
	return err
}

// readBefore reads the statistics that the step compares, if it does.
func (p *player) readBefore(ctx context.Context, a *attempt) (err error) {
	if len(a.Expect.Statistics) > 0 && p.can(scenario.PartStatistics) {
		if a.before, err = p.readStatistics(ctx); err != nil {
			return err
		}
	}
	if len(a.Expect.Prometheus) > 0 && p.can(scenario.PartPrometheus) {
		a.beforePrometheus, err = p.readPrometheus(ctx)
	}
	return err
}

// send sends the step's request. When it is sent again, what it causes counts from then on.
func (p *player) send(ctx context.Context, a *attempt, first bool) (err error) {
	if a.Request == nil {
		return nil
	}
	if !first {
		if err := p.readBefore(ctx, a); err != nil {
			return err
		}
		if servers, ok := p.place.(Servers); ok {
			a.upstream = len(servers.Server("").Calls())
		}
	}
	a.responses = nil
	if a.message, err = p.message(a.Request); err != nil {
		return err
	}
	a.sent++
	a.responses, err = a.message.send(ctx)
	return err
}

// change makes the step's change.
func (p *player) change(ctx context.Context, c *scenario.Change) error {
	if c == nil {
		return nil
	}
	if servers, ok := p.place.(Servers); ok {
		for name, script := range c.Services {
			if err := servers.Server(name).Set(script); err != nil {
				return err
			}
		}
		if c.Upstream != nil {
			if err := servers.Server("").Set(*c.Upstream); err != nil {
				return err
			}
		}
	}
	if c.PluginConfig == nil {
		return nil
	}
	configurable, ok := p.place.(Configurable)
	if !ok {
		return errors.New("the place cannot change a configuration, and says that it can")
	}
	text, err := c.Text()
	if err != nil {
		return err
	}
	if text, err = p.expand(text); err != nil {
		return err
	}
	filter := c.Filter
	if filter == "" {
		filter = p.scenario.Links()[0].Filter
	}
	return configurable.Configure(ctx, filter, text)
}

// look compares everything once. again says that only another request could change it.
func (p *player) look(ctx context.Context, a *attempt) (again bool, all []mismatch, err error) {
	e := a.Expect
	if a.Request != nil && a.responses == nil {
		return true, []mismatch{miss("the request", "an answer", "none")}, nil
	}
	if all = p.response(e.Response, a.responses); len(all) > 0 {
		return true, all, nil
	}
	servers, _ := p.place.(Servers)
	if e.Upstream != nil && p.can(scenario.PartSeen) && servers != nil {
		calls := servers.Server("").Calls()
		all = append(all, p.seen("the upstream", *e.Upstream, calls, a.upstream)...)
		// A request that is aborted, or that a filter holds, may still come.
		again = len(all) > 0 && len(calls)-a.upstream >= len(a.responses) && len(a.responses) > 0
	}
	for _, name := range slices.Sorted(maps.Keys(e.Services)) {
		all = append(all, p.seen("service "+name, e.Services[name], servers.Server(name).Calls(), p.calls[name])...)
	}
	if len(e.Statistics) > 0 && p.can(scenario.PartStatistics) {
		now, err := p.readStatistics(ctx)
		if err != nil {
			return false, all, err
		}
		for _, name := range slices.Sorted(maps.Keys(e.Statistics)) {
			all = append(all, p.number("statistic "+name, e.Statistics[name], now, a.before, p.base, name)...)
		}
	}
	if len(e.Prometheus) > 0 && p.can(scenario.PartPrometheus) {
		now, err := p.readPrometheus(ctx)
		if err != nil {
			return false, all, err
		}
		for _, name := range slices.Sorted(maps.Keys(e.Prometheus)) {
			all = append(all, p.number("Prometheus's "+name, e.Prometheus[name], now, a.beforePrometheus, p.basePrometheus, name)...)
		}
	}
	lines, err := p.place.Log(ctx)
	if err != nil {
		return false, all, err
	}
	since := lines[min(p.mark, len(lines)):]
	for _, line := range e.Log {
		all = append(all, p.logged(line, since)...)
	}
	all = append(all, p.refusal(e.Refusal, since)...)
	all = append(all, p.never(e.Never, since)...)
	all = append(all, p.never(p.scenario.Never, lines)...)
	return again, all, nil
}

// seen compares the calls that a server saw after the first ones.
func (p *player) seen(what string, want scenario.Seen, calls []server.Call, first int) []mismatch {
	calls = calls[min(first, len(calls)):]
	n := int64(len(calls))
	count := func(text string, number int64) []mismatch {
		return []mismatch{miss(what+" saw", fmt.Sprintf("%s%d calls", text, number), fmt.Sprintf("%d calls", n))}
	}
	none := false
	if c := want.Calls; c != nil {
		switch {
		case c.Exactly != nil && n != *c.Exactly:
			return count("", *c.Exactly)
		case c.AtLeast != nil && n < *c.AtLeast:
			return count("at least ", *c.AtLeast)
		case c.AtMost != nil && n > *c.AtMost:
			return count("at most ", *c.AtMost)
		}
		for i := 1; i < len(calls) && c.Apart != 0; i++ {
			if gap := calls[i].Time.Sub(calls[i-1].Time); gap < time.Duration(c.Apart) {
				return []mismatch{miss(what+fmt.Sprintf("'s calls %d and %d are apart", i, i+1), "at least "+time.Duration(c.Apart).String(), gap.String())}
			}
		}
		none = c.Exactly != nil || c.AtMost != nil || c.AtLeast != nil
	}
	if n == 0 {
		if none {
			return nil
		}
		return []mismatch{miss(what+" saw", "a call", "none")}
	}
	for i, call := range calls {
		who := what + "'s"
		if n > 1 {
			who = fmt.Sprintf("%s's call %d of %d:", what, i+1, n)
		}
		var all []mismatch
		if want.Method != "" && call.Method != want.Method {
			all = append(all, miss(who+" method", want.Method, call.Method))
		}
		if want.Path != nil {
			all = append(all, p.text(who+" path", *want.Path, []string{call.Path})...)
		}
		if want.Authority != nil {
			all = append(all, p.text(who+" authority", *want.Authority, []string{call.Authority})...)
		}
		all = append(all, p.headers(who, want.Headers, call.Header)...)
		if all = append(all, p.content(who+" body", want.Body, call.Body)...); all != nil {
			return all
		}
	}
	return nil
}

// atLevel reports whether a line has a level, in Envoy's format, [time][thread][level][logger],
// or in that of Istio's agent, time, tabulator, level.
func atLevel(line, level string) bool {
	head := line[:min(len(line), 90)]
	return strings.Contains(head, "]["+level+"][") || strings.Contains(head, "\t"+level+"\t")
}

// logged compares one line of the log. What its pattern's groups match in the first such line is
// kept.
func (p *player) logged(want scenario.Line, lines []string) []mismatch {
	part := scenario.PartLog
	if want.Level == "trace" || want.Level == "debug" {
		part = scenario.PartDebugLog
	}
	if !p.can(part) {
		return nil
	}
	contains, err := p.expandAll(want.Contains)
	if err != nil {
		return []mismatch{miss("the log", err.Error(), "no value")}
	}
	var pattern *regexp.Regexp
	if want.Pattern != "" {
		if pattern, err = p.pattern(want.Pattern); err != nil {
			return []mismatch{miss("the log", err.Error(), "no value")}
		}
	}
	var near []mismatch // of a line that only its JSON keeps from being the one
	n := int64(0)
	for _, line := range lines {
		fits := want.Level == "" || atLevel(line, want.Level)
		for _, text := range contains {
			fits = fits && strings.Contains(line, text)
		}
		if !fits || pattern != nil && !pattern.MatchString(line) {
			continue
		}
		if want.JSON != nil {
			if near = p.lineJSON(want.JSON, line); near != nil {
				continue
			}
		}
		if n++; n == 1 && pattern != nil {
			p.keep(pattern, line)
		}
	}
	if want.Times == nil && n > 0 || want.Times != nil && n == *want.Times {
		return nil
	}
	if near != nil {
		return near
	}
	wanted := "a line"
	if want.Times != nil {
		wanted = fmt.Sprintf("%d lines", *want.Times)
	}
	if want.Level != "" {
		wanted += " at level " + want.Level
	}
	if len(contains) > 0 {
		wanted += fmt.Sprintf(" with %q", contains)
	}
	if pattern != nil {
		wanted += " that matches " + pattern.String()
	}
	return []mismatch{miss("the log", wanted, fmt.Sprintf("%d such lines", n))}
}

// lineJSON compares the JSON object in a line.
func (p *player) lineJSON(want map[string]scenario.JSONValue, line string) []mismatch {
	_, rest, ok := strings.Cut(line, "{")
	var document any
	decoder := json.NewDecoder(strings.NewReader("{" + rest))
	if !ok || decoder.Decode(&document) != nil {
		return []mismatch{miss("a log line", "a JSON object", fmt.Sprintf("%q", line))}
	}
	return p.json("a log line's", want, document)
}

// never compares what no line may have.
func (p *player) never(phrases []scenario.Phrase, lines []string) []mismatch {
	if len(phrases) == 0 || !p.can(scenario.PartLog) {
		return nil
	}
	for _, phrase := range phrases {
		for _, line := range lines {
			if p.has(phrase, line) {
				return []mismatch{{what: "the log", want: "no line with " + phraseText(phrase), seen: line, stays: true}}
			}
		}
	}
	return nil
}

// has reports whether a line has all of a phrase. A variable without a value is in no line.
func (p *player) has(phrase scenario.Phrase, line string) bool {
	contains, err := p.expandAll(phrase.Contains)
	if err != nil {
		return false
	}
	for _, text := range contains {
		if !strings.Contains(line, text) {
			return false
		}
	}
	if phrase.Pattern == "" {
		return true
	}
	pattern, err := p.pattern(phrase.Pattern)
	return err == nil && pattern.MatchString(line)
}

func phraseText(p scenario.Phrase) string {
	var parts []string
	for _, text := range p.Contains {
		parts = append(parts, fmt.Sprintf("%q", text))
	}
	if p.Pattern != "" {
		parts = append(parts, "a match of "+p.Pattern)
	}
	return strings.Join(parts, " and ")
}

// refusal compares whether a filter has refused its configuration. It says why in one line at
// level critical.
func (p *player) refusal(want *scenario.Refusal, lines []string) []mismatch {
	var said []string
	for _, line := range lines {
		if atLevel(line, "critical") && strings.Contains(line, "wasm log") {
			said = append(said, line)
		}
	}
	switch {
	case want == nil && len(said) == 0:
		return nil
	case want == nil:
		return []mismatch{{what: "the configuration", want: "accepted", seen: said[0], stays: true}}
	case !p.can(scenario.PartRefusal):
		return nil
	case len(said) != 1:
		return []mismatch{miss("the refusal", "one line at level critical with "+phraseText(want.Message), fmt.Sprintf("%d lines: %q", len(said), said))}
	case !p.has(want.Message, said[0]):
		return []mismatch{miss("the refusal", "a line with "+phraseText(want.Message), said[0])}
	}
	return nil
}

// shownLines is how many log lines a failure shows.
const shownLines = 30

// telling reports whether a line tells why a step failed: a filter wrote it, it is a warning or
// worse, or it is a part of a crash's trace. Envoy's warnings when it starts are about production.
func telling(line string, starting bool) bool {
	if strings.Contains(line, " wasm log ") {
		return true
	}
	for _, level := range levels {
		if atLevel(line, level) {
			return level == "error" || level == "critical" || level == "warning" && !starting
		}
	}
	return strings.TrimSpace(line) != ""
}

// levels are the levels in Envoy's log.
var levels = []string{"trace", "debug", "info", "notice", "warning", "error", "critical"}

// failed returns the error of a step.
func (p *player) failed(ctx context.Context, a *attempt, mismatches []mismatch, err error) error {
	if cause := context.Cause(ctx); cause != nil && len(mismatches) == 0 {
		err = cause
	}
	var b strings.Builder
	if a.message != nil {
		fmt.Fprintf(&b, "request: %s", a.message.line())
		if a.sent > 1 {
			fmt.Fprintf(&b, " (sent again %d times within %v)", a.sent-1, time.Duration(a.Within))
		}
		b.WriteString("\n")
	}
	for _, m := range mismatches {
		fmt.Fprintln(&b, m)
	}
	if err != nil {
		fmt.Fprintln(&b, err)
	}
	if a.message != nil {
		fmt.Fprintf(&b, "curl: %s\n", a.message.curl())
	}
	// Even when time is up, the log tells why.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), scenario.LateDefault)
	defer cancel()
	if lines, err := p.place.Log(ctx); err == nil {
		lines = lines[min(p.mark, len(lines)):]
		fmt.Fprintf(&b, "log since the step began, %d lines, of which filters and warnings are:\n", len(lines))
		lines = slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !telling(line, p.mark == 0) })
		if left := len(lines) - shownLines; left > 0 {
			fmt.Fprintf(&b, "  ... %d lines ...\n", left)
			lines = lines[left:]
		}
		for _, line := range lines {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	return &Error{Scenario: p.scenario, Step: a.Name, Text: strings.TrimRight(b.String(), "\n")}
}
