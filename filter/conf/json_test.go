package conf

import (
	"strings"
	"testing"
)

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"byte order mark", "\xef\xbb\xbf{}", `line 1, column 1: the configuration starts with a byte order mark; save it as UTF-8 without BOM`},
		{"array", "\n [1]", `line 2, column 2: the configuration is not a JSON object; put the fields between { and }`},
		{"string", `"a"`, `line 1, column 1: the configuration is not a JSON object; put the fields between { and }`},
		{"open object", `{`, `line 1, column 2: unexpected end of the configuration; a field name in double quotes belongs here`},
		{"open after name", `{"a"`, `line 1, column 5: unexpected end of the configuration after the field name "a"; put a : between name and value`},
		{"open after colon", `{"a":`, `line 1, column 6: unexpected end of the configuration; a value belongs here`},
		{"open after value", `{"a": 1`, `line 1, column 8: unexpected end of the configuration after field "a"; put a comma or a closing }`},
		{"open array", `{"a": [1`, `line 1, column 9: unexpected end of the configuration after element 0; put a comma or a closing ]`},
		{"missing colon", `{"a" 1}`, `line 1, column 6: unexpected "1" after the field name "a"; put a : between name and value`},
		{"equals sign", `{"a"=1}`, `line 1, column 5: unexpected "=" after the field name "a"; put a : between name and value`},
		{"missing value", `{"a": }`, `line 1, column 7: a value is missing before "}"; add it, or remove the comma before it`},
		{"missing comma", "{\n  \"a\": 1\n  \"b\": 2\n}", `line 3, column 3: unexpected "\"" after field "a"; put a comma or a closing }`},
		{"wrong bracket", `{"a": [1}`, `line 1, column 9: unexpected "}" after element 0; put a comma or a closing ]`},
		{"trailing comma in an object", "{\n\t\"a\": 1,\n}", `line 3, column 1: a comma before }; remove the comma`},
		{"trailing comma in an array", `{"a": [1, ]}`, `line 1, column 11: a comma before ]; remove the comma`},
		{"two commas", `{"a": 1,, "b": 2}`, `line 1, column 9: unexpected ","; a field name in double quotes belongs here`},
		{"two commas in an array", `{"a": [1,,2]}`, `line 1, column 10: a value is missing before ","; add it, or remove the comma before it`},
		{"bare name", `{a: 1}`, `line 1, column 2: unexpected "a"; a field name in double quotes belongs here`},
		{"single quotes", `{"a": 'b'}`, `line 1, column 7: a string in single quotes; write it in double quotes`},
		{"bare word", `{"a": hello}`, `line 1, column 7: unexpected "hello"; write true, false, or a string in double quotes`},
		{"capital", `{"a": True}`, `line 1, column 7: unexpected "True"; write true, false, or a string in double quotes`},
		{"comment", "{ // all\n}", `line 1, column 3: JSON has no comments; remove this one`},
		{"comment before a value", `{"a": /* one */ 1}`, `line 1, column 7: JSON has no comments; remove this one`},
		{"two objects", `{} {}`, `line 1, column 4: unexpected "{" after the configuration; remove what follows the closing }`},
		{"NUL at the end", "{}\x00", `line 1, column 3: unexpected "\x00" after the configuration; remove what follows the closing }`},
		{"duplicate", "{\"a\": 1,\n \"a\": 2}", `line 2, column 2: field "a" appears twice; keep one`},
		{"duplicate by an escape", `{"a": 1, "\u0061": 2}`, `line 1, column 10: field "a" appears twice; keep one`},
		{"leading zero", `{"a": 01}`, `line 1, column 7: malformed number; write it like 5, -5, 0.5 or 1e3`},
		{"plus", `{"a": +1}`, `line 1, column 7: malformed number; write it like 5, -5, 0.5 or 1e3`},
		{"no whole part", `{"a": .5}`, `line 1, column 7: malformed number; write it like 5, -5, 0.5 or 1e3`},
		{"no fraction", `{"a": 1.}`, `line 1, column 7: malformed number; write it like 5, -5, 0.5 or 1e3`},
		{"no exponent", `{"a": 1e}`, `line 1, column 7: malformed number; write it like 5, -5, 0.5 or 1e3`},
		{"minus alone", `{"a": -}`, `line 1, column 7: malformed number; write it like 5, -5, 0.5 or 1e3`},
		{"unit", `{"a": 5s}`, `line 1, column 8: unexpected "s" after field "a"; put a comma or a closing }`},
		{"open string", `{"a": "b}`, `line 1, column 7: a string without end; close it with a double quote`},
		{"line break in a string", "{\"a\": \"b\nc\"}", `line 1, column 9: a raw control character in a string; write it as \u000a, or close the string`},
		{"unknown escape", `{"a": "C:\dir"}`, `line 1, column 10: unknown escape in a string; write a backslash as \\`},
		{"escape at the end", `{"a": "\`, `line 1, column 8: unknown escape in a string; write a backslash as \\`},
		{"short escape", `{"a": "\u00"}`, `line 1, column 8: malformed \u escape; write \u and four hexadecimal digits, or the character itself`},
		{"half a surrogate pair", `{"a": "\ud83d"}`, `line 1, column 8: malformed \u escape; write \u and four hexadecimal digits, or the character itself`},
		{"surrogate pair the wrong way round", `{"a": "\ude00\ud83d"}`, `line 1, column 8: malformed \u escape; write \u and four hexadecimal digits, or the character itself`},
		{"high surrogate twice", `{"a": "\ud83d\ud83d"}`, `line 1, column 8: malformed \u escape; write \u and four hexadecimal digits, or the character itself`},
		{"invalid UTF-8", "{\"a\": \"\xff\"}", `line 1, column 8: invalid UTF-8; save the configuration as UTF-8`},
		{"invalid UTF-8 outside strings", "{\xff}", `line 1, column 2: unexpected "\xff"; a field name in double quotes belongs here`},
		{"column counts characters", `{"gruß": "日本" 1}`, `line 1, column 15: unexpected "1" after field "gruß"; put a comma or a closing }`},
		{"windows line ends", "{\r\n\"a\": 1,\r\n}", `line 3, column 1: a comma before }; remove the comma`},
		{"too deep", `{"a":` + strings.Repeat("[", 40), `line 1, column 37: nested deeper than 32 levels; flatten the configuration`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseObject([]byte(tc.in))
			if err == nil {
				t.Fatalf("accepted %q", tc.in)
			}
			if err.Error() != tc.want {
				t.Errorf("%q\ngot  %s\nwant %s", tc.in, err, tc.want)
			}
		})
	}
}

func TestNothingIsAnEmptyObject(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", " ", "\r\n\t ", "{}", " { } "} {
		o, err := ParseObject([]byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if err := o.Err(); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestDeepestAccepted(t *testing.T) {
	t.Parallel()
	in := strings.Repeat(`{"a":`, 31) + "{}" + strings.Repeat("}", 31)
	if _, err := ParseObject([]byte(in)); err != nil {
		t.Error(err)
	}
	if _, err := ParseObject([]byte(`{"a":` + in + `}`)); err == nil {
		t.Error("accepted 33 levels")
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                    `""`,
		"x-my header":                         `"x-my header"`,
		`say "hi" \o/`:                        `"say \"hi\" \\o/"`,
		"a\r\nb\x00\x7f":                      `"a\x0d\x0ab\x00\x7f"`,
		"\u0085\u2028":                        `"\xc2\x85\xe2\x80\xa8"`,
		"caf\u00e9 \u65e5\u672c \U0001f600":   "\"caf\u00e9 \u65e5\u672c \U0001f600\"",
		"\xff\xfe":                            `"\xff\xfe"`,
		strings.Repeat("\u00e9", maxQuoted):   `"` + strings.Repeat("\u00e9", maxQuoted) + `"`,
		strings.Repeat("\u00e9", maxQuoted+1): `"` + strings.Repeat("\u00e9", maxQuoted) + `…"`,
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q)\ngot  %s\nwant %s", in, got, want)
		}
	}
}
