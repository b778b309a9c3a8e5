package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/fatih/color"
)

// view prints what dev does and what the filter logs.
type view struct {
	out   io.Writer
	color bool

	mu       sync.Mutex
	serving  bool // Envoy's own warnings are shown
	plays    bool // Envoy's warnings are about scenarios
	contexts map[string][]string
}

func newView(out io.Writer, colored bool) *view {
	return &view{out: out, color: colored, contexts: map[string][]string{}}
}

// paint returns text in a color, if colors are on.
func (v *view) paint(text string, attributes ...color.Attribute) string {
	if !v.color {
		return text
	}
	c := color.New(attributes...)
	c.EnableColor()
	return c.Sprint(text)
}

// say prints a line about a step.
func (v *view) say(mark color.Attribute, word, format string, args ...any) {
	v.print(fmt.Sprintf("%s %s %s\n", time.Now().Format("15:04:05.000"), v.paint(fmt.Sprintf("%-8s", word), mark, color.Bold), fmt.Sprintf(format, args...)))
}

func (v *view) print(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprint(v.out, text)
}

// serve makes view show Envoy's own warnings from now on. Those at Envoy's start are about
// production.
func (v *view) serve() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.serving = true
}

// playing makes view hide Envoy's own warnings while scenarios are played: they are among what a
// scenario that fails shows.
func (v *view) playing(plays bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.plays = plays
}

// envoyLine is a line in Envoy's default format:
//
//	[date time][thread][level][logger] [file] text
var envoyLine = regexp.MustCompile(`^\[\S+ (\S+)\]\[(\d+)\]\[(\w+)\]\[\w+\] \[[^\]]*\] (.*)$`)

// Lines of the wasm logger at level trace. They tell which context runs in a thread.
//
// Reference: https://github.com/proxy-wasm/proxy-wasm-cpp-host/blob/main/src/v8/v8.cc
var (
	calls    = regexp.MustCompile(`^\[host->vm\] (\w+)\((\d*)`)
	returns  = regexp.MustCompile(`^\[host<-vm\] `)
	switches = regexp.MustCompile(`^\[vm->host\] env\.proxy_set_effective_context\((\d+)`)
)

// envoy shows a line of Envoy's log if it is for a filter's author: a line that the filter
// logs, with the id of the context that runs, or a warning of Envoy's own.
func (v *view) envoy(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	match := envoyLine.FindStringSubmatch(line)
	if match == nil {
		if v.serving && strings.TrimSpace(line) != "" { // the trace of a crash
			fmt.Fprintln(v.out, line)
		}
		return
	}
	at, thread, level, text := match[1], match[2], match[3], match[4]
	if v.follow(thread, text) {
		return
	}
	if message, ok := strings.CutPrefix(text, "wasm log"); ok {
		// The text has the form "wasm log <plugin> <root id> <vm id>: text", with empty ids
		// left out.
		plugin, message, _ := strings.Cut(message, ": ")
		if strings.Contains(plugin, ".") { // that of a scenario
			return
		}
		fmt.Fprintf(v.out, "%s %s %s %s\n", at, v.level(level), v.paint(fmt.Sprintf("%-5s", v.context(thread)), color.FgCyan), message)
		return
	}
	if strings.HasPrefix(text, "caught SIG") { // Ctrl-C reaches Envoy too
		return
	}
	if v.serving && !v.plays && (level == "warning" || level == "error" || level == "critical") {
		fmt.Fprintf(v.out, "%s %s %s %s\n", at, v.level(level), v.paint("envoy", color.Faint), text)
	}
}

// follow keeps a stack of the running contexts for each thread: a call into the module can
// come while another one is under way.
func (v *view) follow(thread, text string) bool {
	stack := v.contexts[thread]
	if match := calls.FindStringSubmatch(text); match != nil {
		id := "" // that of whoever caused the call
		if strings.HasPrefix(match[1], "proxy_on_") && match[1] != "proxy_on_memory_allocate" {
			id = match[2]
		} else if len(stack) > 0 {
			id = stack[len(stack)-1]
		}
		v.contexts[thread] = append(stack, id)
		return true
	}
	if returns.MatchString(text) {
		v.contexts[thread] = stack[:max(0, len(stack)-1)]
		return true
	}
	if match := switches.FindStringSubmatch(text); match != nil && len(stack) > 0 {
		stack[len(stack)-1] = match[1]
	}
	return strings.HasPrefix(text, "[vm->host] ") || strings.HasPrefix(text, "[vm<-host] ")
}

// context returns the id of the running context, "#3"; "" if none runs.
func (v *view) context(thread string) string {
	stack := v.contexts[thread]
	if len(stack) == 0 || stack[len(stack)-1] == "" {
		return ""
	}
	return "#" + stack[len(stack)-1]
}

var levelColors = map[string]color.Attribute{
	"trace":    color.Faint,
	"debug":    color.Faint,
	"info":     color.FgGreen,
	"warning":  color.FgYellow,
	"error":    color.FgRed,
	"critical": color.FgRed,
}

func (v *view) level(level string) string {
	return v.paint(fmt.Sprintf("%-8s", level), levelColors[level])
}
