package printable

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"headers 1.4.0":           "headers 1.4.0",
		"größer → 日本":             "größer → 日本",
		"":                        "",
		"a\nok  signature":        `"a\nok signature"`,
		"a\r\x1b[2Kok":            `"a\r\x1b[2Kok"`,
		"a\u009b2Kb":              `"a\u009b2Kb"`,
		"\u202eko":                `"\u202eko"`,
		"a\u2028b":                `"a\u2028b"`,
		"a\tb":                    `"a\tb"`,
		"a\xffb":                  `"a\xffb"`,
		"a" + "        " + "ok b": "a ok b",
	} {
		if got := Text(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

type value struct{ text string }

func (v value) String() string { return v.text }

const forged = "x\nok     signature  headers:1.4.0\x1b[8m"

func TestPrint(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := errors.Join(
		Fprintf(&out, "%s %v %v %d\n", forged, errors.New(forged), value{forged}, 3),
		Fprintln(&out, forged, []string{forged}),
	)
	table := NewTable(&out)
	table.Row("a", forged)
	table.Indented("  ", forged, "b")
	if err := errors.Join(err, table.Flush()); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Count(text, "\n") != 4 || strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), unicode.IsControl) {
		t.Errorf("it printed\n%q", text)
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	err := errors.New("a: \x1b[2Kok\u009b\nb: c")
	got := Error(err)
	if want := "a: \\x1b[2Kok\\u009b\nb: c"; got.Error() != want || !errors.Is(got, err) {
		t.Errorf("%q, want %q", got, want)
	}
	plain := errors.New("a\nb")
	if got := Error(plain); got != plain || Error(nil) != nil { //nolint:errorlint // the same value, not wrapped
		t.Errorf("%v", got)
	}
}

// FuzzPrint: no text makes a line of its own, and JSON says what it was given.
func FuzzPrint(f *testing.F) {
	f.Add(forged)
	f.Add("\u202e\U000e0001\u009b\u2028\x7f\xff")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsFunc(Text(text), hidden) {
			t.Errorf("%q becomes %q", text, Text(text))
		}
		var out strings.Builder
		if err := JSON(&out, []string{text}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(strings.ReplaceAll(out.String(), "\n", ""), hidden) || strings.Count(out.String(), "\n") != 3 {
			t.Errorf("%q becomes %q", text, out.String())
		}
		var back []string
		if err := json.Unmarshal([]byte(out.String()), &back); err != nil || utf8.ValidString(text) && back[0] != text {
			t.Errorf("%q becomes %q: %v", text, back, err)
		}
	})
}
