// Package printable prints what comes from outside: annotations, names in a module, answers of
// servers. Such text can neither end its line nor steer a terminal. It cannot hold so many
// spaces that what follows looks like the next line.
//
// Packages that print results print with it, and not with fmt: a test in test/repository holds
// that.
package printable

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// Text returns a text as it can stand on a line. Text with a character that is not printed, such
// as a line break, an escape or one that changes the direction of writing, is quoted as in Go's
// source.
func Text(text string) string {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, hidden) {
		text = strconv.Quote(text)
	}
	return spaces.ReplaceAllString(text, " ")
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }

// spaces are so many that what follows them may look like another line or column.
var spaces = regexp.MustCompile(` {2,}`)

// clean is an argument of Fprintf as it can be printed.
func clean(args []any) []any {
	cleaned := make([]any, len(args))
	for i, arg := range args {
		switch value := arg.(type) {
		case string:
			cleaned[i] = Text(value)
		case error:
			cleaned[i] = Text(value.Error())
		case fmt.Stringer:
			cleaned[i] = Text(value.String())
		case int, int64, float64, bool:
			cleaned[i] = value
		default:
			cleaned[i] = Text(fmt.Sprint(value))
		}
	}
	return cleaned
}

// Fprintf does what fmt.Fprintf does, with each argument as Text returns it. An error to write
// is returned.
func Fprintf(w io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(w, format, clean(args)...)
	return err
}

// Fprintln prints each value as Text returns it, and a line break.
func Fprintln(w io.Writer, args ...any) error {
	_, err := fmt.Fprintln(w, clean(args)...)
	return err
}

// Table is a table whose columns are aligned.
type Table struct{ w *tabwriter.Writer }

// NewTable returns a table that Flush prints to w.
func NewTable(w io.Writer) *Table { return &Table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

// Row adds a row, with each cell as Text returns it.
func (t *Table) Row(cells ...string) { t.Indented("", cells...) }

// Indented does what Row does, with the indentation before the first cell.
func (t *Table) Indented(indent string, cells ...string) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = Text(cell)
	}
	fmt.Fprintln(t.w, indent+strings.Join(texts, "\t"))
}

// Flush prints the table.
func (t *Table) Flush() error { return t.w.Flush() }

// JSON prints a value as indented JSON. The encoder leaves some characters alone that a terminal
// obeys, such as U+009B and U+202E. They are printed as \uXXXX.
func JSON(w io.Writer, value any) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := io.WriteString(w, escaped(text.String()))
	return err
}

// escaped replaces what is not printed. Outside of strings, JSON has only line breaks of that
// kind.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case !hidden(r) || r == '\n':
			b.WriteRune(r)
		case r < 1<<16:
			fmt.Fprintf(&b, `\u%04x`, r)
		default: // a pair of surrogates
			r -= 1 << 16
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return b.String()
}

// Error returns an error with the same chain, in whose text everything that is not printed is
// escaped. Line breaks stay: an error of several parts has a line for each.
func Error(err error) error {
	if err == nil || !strings.ContainsFunc(err.Error(), steers) {
		return err
	}
	return &escapedError{err}
}

func steers(r rune) bool { return hidden(r) && r != '\n' && r != '\t' }

type escapedError struct{ err error }

func (e *escapedError) Unwrap() error { return e.err }

func (e *escapedError) Error() string {
	var b strings.Builder
	for _, r := range e.err.Error() {
		if steers(r) {
			quoted := strconv.Quote(string(r))
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
