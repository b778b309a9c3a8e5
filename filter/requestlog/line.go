package main

import (
	"strconv"
	"unicode/utf8"
)

const (
	// minLine and maxLine bound max_line_bytes. A line of minLine always has room for
	// the essential fields; the declaration below the constants checks that. maxLine is
	// far beyond what log collectors take as one line, and still small enough to hold
	// for every open stream.
	minLine     = 1 << 10
	maxLine     = 1 << 16
	defaultLine = 8 << 10

	// A text may fill this part of a line, given as a divisor of the line's limit,
	// before it is cut. The three together may fill three quarters; the rest of the
	// line needs the last quarter.
	methodShare    = 8
	authorityShare = 8
	pathShare      = 2

	// headRoom and tailRoom are the most that everything but these texts and the
	// headers takes.
	headRoom = len(`{"direction":"out","stream_id":4294967295,"method":"","authority":"","path":"","request_headers":{}`)
	tailRoom = len(`,"status":999,"request_bytes":18446744073709551615,"response_bytes":18446744073709551615,` +
		`"duration_ms":9223372036854.775,"truncated":true}`)

	cutMark  = "…"
	redacted = "[redacted]"
)

// A negative constant is no uint: this fails to compile if the essentials could
// outgrow the shortest line.
const _ = uint(minLine - minLine/methodShare - minLine/authorityShare - minLine/pathShare - headRoom - tailRoom)

// line is a log line under construction: begin, any number of header, end.
type line struct {
	buf   []byte
	limit int  // of the whole line, in bytes
	cut   bool // something is missing because of the limit
}

// begin starts a line over, in the same buffer. An empty text means that the value is
// not known.
func (l *line) begin(limit int, direction string, streamID uint32, method, authority, path string) {
	l.limit, l.cut = limit, false
	l.buf = append(l.buf[:0], '{')
	if direction != "" {
		l.buf = append(l.buf, `"direction":"`...)
		l.buf = append(l.buf, direction...)
		l.buf = append(l.buf, `",`...)
	}
	l.buf = append(l.buf, `"stream_id":`...)
	l.buf = strconv.AppendUint(l.buf, uint64(streamID), 10)
	l.text(`,"method":`, method, limit/methodShare)
	l.text(`,"authority":`, authority, limit/authorityShare)
	l.text(`,"path":`, path, limit/pathShare)
}

// text adds a field, cut if it is longer than max bytes.
func (l *line) text(key, value string, max int) {
	if value == "" {
		return
	}
	l.buf = append(l.buf, key...)
	n, whole := fit(value, max)
	if !whole {
		l.cut = true
		n, _ = fit(value, max-len(cutMark))
	}
	l.buf = append(l.buf, '"')
	l.buf = appendText(l.buf, value[:n])
	if !whole {
		l.buf = append(l.buf, cutMark...)
	}
	l.buf = append(l.buf, '"')
}

// headers adds the request headers that c wants, as far as there is room. A header
// that does not fit is left out completely, so that no shown value differs from the one
// that was sent. Later headers may still fit.
func (l *line) headers(c *config, headers [][2]string) {
	if !c.wantsAny() || len(headers) == 0 {
		return
	}
	l.buf = append(l.buf, `,"request_headers":{`...)
	first := true
	for i := range headers {
		name := headers[i][0]
		if isPseudo(name) || !c.wants(name) || contains(headers[:i], name) {
			continue
		}
		start := len(l.buf)
		if !first {
			l.buf = append(l.buf, ',')
		}
		if !l.header(headers[i:], c.hides(name)) {
			l.buf = l.buf[:start]
			l.cut = true
			continue
		}
		first = false
	}
	l.buf = append(l.buf, '}')
}

// header adds all the values of the first of headers, or reports that they do
// not fit.
func (l *line) header(headers [][2]string, hide bool) bool {
	name := headers[0][0]
	repeated := contains(headers[1:], name)
	if !l.quoted(name) {
		return false
	}
	l.buf = append(l.buf, ':')
	if repeated {
		l.buf = append(l.buf, '[')
	}
	for i := range headers {
		if headers[i][0] != name {
			continue
		}
		if i > 0 {
			l.buf = append(l.buf, ',')
		}
		value := headers[i][1]
		if hide {
			value = redacted
		}
		if !l.quoted(value) {
			return false
		}
		if !repeated {
			break
		}
	}
	if repeated {
		l.buf = append(l.buf, ']')
	}
	return l.room() >= 0
}

// quoted adds s as a JSON string, unless there is no room for it.
func (l *line) quoted(s string) bool {
	if _, whole := fit(s, l.room()); !whole {
		return false
	}
	l.buf = append(l.buf, '"')
	l.buf = appendText(l.buf, s)
	l.buf = append(l.buf, '"')
	return true
}

// room is how many bytes may still be added inside the headers.
func (l *line) room() int {
	return l.limit - tailRoom - len(`}`) - len(l.buf)
}

// ending is what is known at the end of a stream.
type ending struct {
	status        string // of the response; "" if there was none
	bodies        bool   // whether the two counts below mean anything
	requestBytes  uint64
	responseBytes uint64
	duration      int64 // in nanoseconds; negative if not known
}

// end completes the line.
func (l *line) end(e *ending) {
	if isStatus(e.status) {
		l.buf = append(l.buf, `,"status":`...)
		l.buf = append(l.buf, e.status...)
	}
	if e.bodies {
		l.buf = append(l.buf, `,"request_bytes":`...)
		l.buf = strconv.AppendUint(l.buf, e.requestBytes, 10)
		l.buf = append(l.buf, `,"response_bytes":`...)
		l.buf = strconv.AppendUint(l.buf, e.responseBytes, 10)
	}
	if e.duration >= 0 {
		l.buf = append(l.buf, `,"duration_ms":`...)
		l.buf = appendMillis(l.buf, e.duration)
	}
	if l.cut {
		l.buf = append(l.buf, `,"truncated":true`...)
	}
	l.buf = append(l.buf, '}')
}

// isStatus reports whether s can stand as a JSON number: three digits, the first
// not 0 (RFC 9110 section 15).
func isStatus(s string) bool {
	return len(s) == 3 && '1' <= s[0] && s[0] <= '9' && isDigit(s[1]) && isDigit(s[2])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// appendMillis appends nanoseconds as milliseconds with three decimals. It does
// without strconv.AppendFloat, which would be the largest part of the module.
func appendMillis(dst []byte, ns int64) []byte {
	us := ns / 1000
	dst = strconv.AppendInt(dst, us/1000, 10)
	rest := us % 1000
	return append(dst, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}

// isPseudo reports whether a header is one like :path (RFC 9113 section 8.3).
func isPseudo(name string) bool {
	return name != "" && name[0] == ':'
}

// contains reports whether one of the headers has that name.
func contains(headers [][2]string, name string) bool {
	for i := range headers {
		if headers[i][0] == name {
			return true
		}
	}
	return false
}

// fit returns how many bytes of s, up to the end of a character, fit into max bytes of
// a JSON string, and whether that is all of s.
func fit(s string, max int) (n int, whole bool) {
	if len(s)*maxEscape <= max {
		return len(s), true
	}
	for n < len(s) {
		size, escape := scan(s[n:])
		if escape > 0 {
			max -= escape
		} else {
			max -= size
		}
		if max < 0 {
			return n, false
		}
		n += size
	}
	return n, true
}

// appendText appends s as the inside of a JSON string (RFC 8259 section 7).
func appendText(dst []byte, s string) []byte {
	plain := 0 // where the run of characters that need no escape starts
	for i := 0; i < len(s); {
		size, escape := scan(s[i:])
		if escape > 0 {
			dst = append(dst, s[plain:i]...)
			dst = appendEscaped(dst, s[i:i+size])
			plain = i + size
		}
		i += size
	}
	return append(dst, s[plain:]...)
}

// maxEscape is the length of the longest escape, \u and four digits. No byte of
// a text takes more.
const maxEscape = 6

// scan returns the size of the first character of s, and the length of its
// escape in a JSON string, 0 if it stands for itself. A byte that is not UTF-8
// is a character of its own.
//
// Beyond what JSON asks for, DEL, the C1 controls and the two Unicode line
// separators are escaped: a terminal obeys some of them, and some readers of logs
// take others for the end of the line.
func scan(s string) (size, escape int) {
	switch c := s[0]; {
	case c == '"' || c == '\\':
		return 1, 2
	case c < ' ' || c == 0x7f:
		return 1, maxEscape
	case c < utf8.RuneSelf:
		return 1, 0
	}
	r, size := utf8.DecodeRuneInString(s)
	if r < 0xa0 || r == '\u2028' || r == '\u2029' || r == utf8.RuneError && size == 1 {
		return size, maxEscape
	}
	return size, 0
}

// appendEscaped appends the escape of one character that scan finds in need of it.
func appendEscaped(dst []byte, char string) []byte {
	if char[0] == '"' || char[0] == '\\' {
		return append(dst, '\\', char[0])
	}
	const digits = "0123456789abcdef"
	r, _ := utf8.DecodeRuneInString(char)
	return append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}
