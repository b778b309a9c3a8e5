package conf

import "unicode/utf8"

// maxQuoted is how many characters of a value a message repeats.
const maxQuoted = 48

// Quote returns s in double quotes for use in an error or a log line: printable
// on one line whatever s holds, and cut after 48 characters. Control characters
// and invalid UTF-8 are written as \x and two hexadecimal digits. It stands in
// for strconv.Quote, whose tables of printable characters are too large for a
// filter.
func Quote(s string) string {
	b := append(make([]byte, 0, len(s)+2), '"')
	n := 0
	for len(s) > 0 {
		if n == maxQuoted {
			b = append(b, "…"...)
			break
		}
		n++
		_, size := utf8.DecodeRuneInString(s)
		if c := s[0]; c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			b = appendPrintable(b, s[:size])
		}
		s = s[size:]
	}
	return string(append(b, '"'))
}

// oneLine makes a message safe to log: what could break the line is escaped.
func oneLine(s string) string {
	var b []byte
	for len(s) > 0 {
		_, size := utf8.DecodeRuneInString(s)
		b = appendPrintable(b, s[:size])
		s = s[size:]
	}
	return string(b)
}

// appendPrintable appends one character, escaped if it is a control character
// (C0, DEL, C1), a line or paragraph separator, or not UTF-8.
func appendPrintable(b []byte, char string) []byte {
	r, size := utf8.DecodeRuneInString(char)
	if r >= ' ' && r < 0x7f || r >= 0xa0 && r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1) {
		return append(b, char...)
	}
	for i := 0; i < len(char); i++ {
		b = append(b, `\x`...)
		b = append(b, hexByte(char[i])...)
	}
	return b
}

func hexByte(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}
