package envoy

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// keptLines limits the memory for a proxy that logs every request for hours. The log file has
// everything.
const keptLines = 50_000

// Log holds the lines that a proxy has written so far, in their order. It keeps the last
// 50,000 lines. It is safe for concurrent use.
type Log struct {
	onLine func(line string)
	adding sync.Mutex // held while a line is added and onLine runs

	mu      sync.Mutex
	dropped int // lines that came before lines[0]
	lines   []string
}

func newLog(onLine func(line string)) *Log {
	return &Log{onLine: onLine}
}

// Mark returns the number of lines so far. Pass it to [Log.Lines] to look only at later lines.
func (l *Log) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped + len(l.lines)
}

// Lines returns the lines after mark. Zero returns all.
func (l *Log) Lines(mark int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines[min(max(mark-l.dropped, 0), len(l.lines)):])
}

func (l *Log) add(line string) {
	l.adding.Lock()
	defer l.adding.Unlock()
	l.onLine(line)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 2*keptLines {
		l.dropped += keptLines
		l.lines = slices.Clone(l.lines[keptLines:])
	}
	l.lines = append(l.lines, line)
}

// Relevant reports whether a line tells what went wrong: it is a warning or worse, a line
// logged by a filter, or a line without Envoy's usual prefix (the trace of a crash). It knows
// Envoy's default format:
//
//	[time][thread][level][logger] [file] text
func Relevant(line string) bool {
	if !strings.HasPrefix(line, "[20") {
		return strings.TrimSpace(line) != ""
	}
	for _, mark := range []string{"][warning][", "][error][", "][critical][", " wasm log"} {
		if strings.Contains(line, mark) {
			return true
		}
	}
	return false
}

// lineWriter splits one output stream of the process into lines.
type lineWriter struct {
	add  func(line string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		w.add(string(w.rest[:i]))
		w.rest = w.rest[i+1:]
	}
}
