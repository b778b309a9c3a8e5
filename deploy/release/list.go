package release

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/fatih/color"

	"github.com/slipway-wasm/slipway/deploy/internal/progress"
)

// list prints the steps, one per line, with each step's own output below, indented by
// four spaces. On a terminal, a step's first line is replaced by its last one, unless
// the step printed something in between.
type list struct {
	out     io.Writer
	width   int  // of the terminal, in columns; 0 for none
	colored bool // never without a terminal
	step    string
	open    bool // the step's first line is still the last one printed, and has no newline
	inLine  bool // the step's last output has no newline
}

func newList(out io.Writer) *list {
	width := progress.Width(out)
	return &list{out: out, width: width, colored: width > 0 && os.Getenv("NO_COLOR") == ""} // https://no-color.org
}

func (l *list) begin(step string) {
	l.step, l.open = step, l.width > 0
	fmt.Fprintf(l.out, "%s ...", step)
	if !l.open {
		fmt.Fprintln(l.out)
	}
}

func (l *list) end(result string, mark color.Attribute, took time.Duration, note string) {
	if l.open {
		const eraseLine = "\r\x1b[2K" // ECMA-48, 8.3.41: EL
		fmt.Fprint(l.out, eraseLine)
		l.open = false
	}
	result = fmt.Sprintf("%-9s", result)
	if l.colored {
		c := color.New(mark)
		c.EnableColor()
		result = c.Sprint(result)
	}
	line := fmt.Sprintf("%-8s %s  %7.1fs  %s", l.step, result, took.Seconds(), note)
	fmt.Fprintln(l.out, strings.TrimRight(line, " "))
}

// Write prints what a step says.
func (l *list) Write(p []byte) (int, error) {
	var text strings.Builder
	if l.open {
		text.WriteString("\n")
		l.open = false
	}
	for line := range strings.Lines(string(p)) {
		if !l.inLine {
			text.WriteString("    ")
		}
		text.WriteString(line)
		l.inLine = !strings.HasSuffix(line, "\n")
	}
	if _, err := io.WriteString(l.out, text.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// fits says whether a text can be shown without wrapping its lines. In a log it always
// can.
func (l *list) fits(text string) bool {
	for line := range strings.Lines(text) {
		if l.width > 0 && len(strings.TrimRight(line, "\n")) > l.width {
			return false
		}
	}
	return true
}
