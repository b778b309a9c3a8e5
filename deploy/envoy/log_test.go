package envoy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLogLines(t *testing.T) {
	t.Parallel()
	var heard []string
	l := newLog(func(line string) { heard = append(heard, line) })
	w := &lineWriter{add: l.add}
	for _, chunk := range []string{"one\ntw", "o", "\n", "\nthree\nrest"} {
		if n, err := w.Write([]byte(chunk)); n != len(chunk) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", chunk, n, err)
		}
	}
	if diff := cmp.Diff([]string{"one", "two", "", "three"}, l.Lines(0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(l.Lines(0), heard); diff != "" {
		t.Errorf("OnLine was told something else (-log +told):\n%s", diff)
	}
	if got := l.Lines(l.Mark()); len(got) != 0 {
		t.Errorf("lines after the mark: %q", got)
	}
}

// Marks stay true when old lines are dropped.
func TestLogDropsOldLines(t *testing.T) {
	t.Parallel()
	l := newLog(func(string) {})
	for i := range 2*keptLines + 10 {
		l.add(fmt.Sprint(i))
	}
	if got := l.Mark(); got != 2*keptLines+10 {
		t.Errorf("Mark() = %d", got)
	}
	if got := l.Lines(0); len(got) > 2*keptLines || got[len(got)-1] != fmt.Sprint(2*keptLines+9) {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
	}
	if got := l.Lines(2*keptLines + 8); !slices.Equal(got, []string{fmt.Sprint(2*keptLines + 8), fmt.Sprint(2*keptLines + 9)}) {
		t.Errorf("after the mark: %q", got)
	}
}

func TestRelevant(t *testing.T) {
	t.Parallel()
	const prefix = "[2026-11-21 12:55:36.245][6480]"
	for line, want := range map[string]bool{
		prefix + "[critical][wasm] [source/x.cc:1] Plugin play failed to load":          true,
		prefix + "[error][wasm] [source/x.cc:1] Function: proxy_on_vm_start failed":     true,
		prefix + "[warning][main] [source/x.cc:1] there is no limit":                    true,
		prefix + "[info][wasm] [source/x.cc:1] wasm log play play: response":            true,
		prefix + "[debug][wasm] [source/x.cc:1] wasm log play play: response":           true,
		"Proxy-Wasm plugin in-VM backtrace:":                                            true,
		prefix + "[info][main] [source/x.cc:1] all clusters initialized":                false,
		prefix + "[debug][wasm] [source/x.cc:1] Thread-Local Wasm created 2 now active": false,
		"": false,
	} {
		if got := Relevant(line); got != want {
			t.Errorf("Relevant(%q) = %v", line, got)
		}
	}
}

// A report has the last relevant lines, a limited number of them, and says where the rest is.
func TestReport(t *testing.T) {
	t.Parallel()
	p := &Proxy{log: newLog(func(string) {}), logFile: "/tmp/the.log"}
	for i := range 2 * reportedLines {
		p.log.add(fmt.Sprintf("[2026-11-21 12:55:36.245][1][error][main] [x] number %d", i))
		p.log.add("[2026-11-21 12:55:36.245][1][info][main] [x] all is well")
	}
	lines := strings.Split(p.Report(nil), "\n")
	if len(lines) != reportedLines+1 || !strings.HasSuffix(lines[reportedLines-1], fmt.Sprintf("number %d", 2*reportedLines-1)) ||
		!strings.HasSuffix(lines[reportedLines], "/tmp/the.log") {
		t.Errorf("%q", lines)
	}
	only := p.Report(func(line string) bool { return strings.HasSuffix(line, "number 1") })
	if strings.Count(only, "\n") != 1 || !strings.Contains(only, "number 1\n") {
		t.Errorf("%q", only)
	}
}
