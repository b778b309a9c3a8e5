package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var background = context.Background()

func TestLogLines(t *testing.T) {
	t.Parallel()
	l := newLog()
	w := &lineWriter{log: l, copy: io.Discard}
	for _, chunk := range []string{"one\ntw", "o", "\n", "\nthree\nrest"} {
		if n, err := w.Write([]byte(chunk)); n != len(chunk) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", chunk, n, err)
		}
	}
	if diff := cmp.Diff([]string{"one", "two", "", "three"}, l.Lines(0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := l.Lines(l.Mark()); len(got) != 0 {
		t.Errorf("lines after the mark: %q", got)
	}
}

// A line that comes later, or came before anybody waited, is found; one that
// came before the mark is not.
func TestLogWait(t *testing.T) {
	t.Parallel()
	l := newLog()
	l.add("a 1")
	mark := l.Mark()
	go l.add("a 2 b")
	for _, test := range []struct {
		mark  int
		parts []string
		want  string
	}{
		{0, []string{"a"}, "a 1"},
		{mark, []string{"a"}, "a 2 b"},
		{mark, []string{"b", "a"}, "a 2 b"},
	} {
		got, err := l.Wait(background, test.mark, test.parts...)
		if got != test.want || err != nil {
			t.Errorf("Wait(%d, %q) = %q, %v; want %q", test.mark, test.parts, got, err, test.want)
		}
	}

	gone, cancel := context.WithCancelCause(background)
	cancel(errors.New("enough"))
	if _, err := l.Wait(gone, 0, "never"); err == nil || !strings.Contains(err.Error(), `"never"`) || !strings.Contains(err.Error(), "enough") {
		t.Errorf("error %v names neither the text nor the cause", err)
	}
	go l.end()
	if _, err := l.Wait(background, 0, "never"); err == nil || !strings.Contains(err.Error(), "has exited") {
		t.Errorf("error %v does not say that the proxy has exited", err)
	}
}

// Marks stay true when old lines are dropped.
func TestLogDropsOldLines(t *testing.T) {
	t.Parallel()
	l := newLog()
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

func TestLogRelevant(t *testing.T) {
	t.Parallel()
	const prefix = "[2026-11-21 12:55:36.245][6480]"
	relevant := []string{
		prefix + "[critical][wasm] [source/x.cc:1] Plugin play failed to load",
		prefix + "[error][wasm] [source/x.cc:1] Function: proxy_on_vm_start failed",
		"Proxy-Wasm plugin in-VM backtrace:",
		prefix + "[warning][main] [source/x.cc:1] there is no limit",
		prefix + "[info][wasm] [source/x.cc:1] wasm log play: response",
	}
	l := newLog()
	for _, line := range relevant {
		l.add(prefix + "[info][main] [source/x.cc:1] all clusters initialized")
		l.add(prefix + "[debug][wasm] [source/x.cc:1] Thread-Local Wasm created")
		l.add("")
		l.add(line)
	}
	if diff := cmp.Diff(relevant, l.Relevant()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range 2 * relevantLines {
		l.add(relevant[0])
	}
	if got := len(l.Relevant()); got != relevantLines {
		t.Errorf("%d lines, want the last %d", got, relevantLines)
	}
}
