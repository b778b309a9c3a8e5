package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

// build makes the line of a stream about which everything is known.
func build(c *config, method, authority, path, status string, headers [][2]string) (text string, cut bool) {
	var l line
	l.begin(c.maxLineBytes, directionOut, math.MaxUint32, method, authority, path)
	l.headers(c, headers)
	l.end(&ending{status: status, bodies: true, requestBytes: math.MaxUint64, responseBytes: math.MaxUint64, duration: math.MaxInt64})
	return string(l.buf), l.cut
}

// parsed is a line as a reader of the log sees it.
type parsed struct {
	Direction     string
	StreamID      uint32 `json:"stream_id"`
	Method        string
	Authority     string
	Path          string
	Headers       map[string]values `json:"request_headers"`
	Status        int
	RequestBytes  uint64  `json:"request_bytes"`
	ResponseBytes uint64  `json:"response_bytes"`
	Duration      float64 `json:"duration_ms"`
	Truncated     bool
}

// values is a string or an array of two or more.
type values []string

func (v *values) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		return json.Unmarshal(data, (*[]string)(v))
	}
	*v = values{""}
	return json.Unmarshal(data, &(*v)[0])
}

// readable returns a text as it comes out of JSON: each byte that is not UTF-8 becomes
// U+FFFD.
func readable(s string) string { return string([]rune(s)) }

func FuzzLine(f *testing.F) {
	long := strings.Repeat("long ", 500)
	for _, limit := range []int{minLine, defaultLine} {
		f.Add(limit, "GET", "shop.example", "/", "200", "accept\n*/*\nvia\na\nvia\nb")
		f.Add(limit, "", "", "", "", "")
		f.Add(limit, "M"+long, "a"+long, "/"+long, "503", "x\n1\nx-long\n"+long+"\nx-short\n2\nx\n3")
		f.Add(limit, "\"\\", "\x00\x1f\x7f", "\xff\xc3\xa4\xc3", "2\n0", "\"\n\\\n\x80\n\u2028\u2029\u0085\nx-auth\nsecret")
		f.Add(limit, strings.Repeat("\x01", 500), strings.Repeat("ä漢🙂", 300), strings.Repeat("\"", 1000), "200", strings.Repeat("cookie\n\x02\n", 100))
		f.Add(limit, "GET", "", "/", "200", strings.Repeat("a\n\n", 500))
	}
	f.Fuzz(func(t *testing.T, limit int, method, authority, path, status, flat string) {
		if limit < minLine || limit > maxLine {
			t.Skip("not a limit that the configuration allows")
		}
		var headers [][2]string
		for rest := strings.Split(flat, "\n"); len(rest) > 1; rest = rest[2:] {
			headers = append(headers, [2]string{rest[0], rest[1]})
		}
		c := &config{allHeaders: true, redact: []string{"cookie", "x-auth"}, maxLineBytes: limit}
		line, cut := build(c, method, authority, path, status, headers)

		if len(line) > limit {
			t.Errorf("%d bytes, limit %d", len(line), limit)
		}
		if !utf8.ValidString(line) {
			t.Error("not UTF-8")
		}
		if at := strings.IndexFunc(line, func(r rune) bool {
			return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029'
		}); at >= 0 {
			t.Errorf("control character or line separator at byte %d", at)
		}
		var got parsed
		d := json.NewDecoder(bytes.NewReader([]byte(line)))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if d.More() {
			t.Errorf("more than one value: %s", line)
		}

		// These fields must be there, whatever the rest takes.
		if got.Direction != "out" || got.StreamID != math.MaxUint32 || got.RequestBytes != math.MaxUint64 ||
			got.ResponseBytes != math.MaxUint64 || got.Duration != 9223372036854.775 || isStatus(status) != (got.Status != 0) {
			t.Errorf("a part that always fits is missing: %s", line)
		}
		if got.Truncated != cut {
			t.Errorf("truncated is %v, want %v", got.Truncated, cut)
		}
		whole := true
		for _, text := range []struct{ name, got, sent string }{
			{"method", got.Method, method}, {"authority", got.Authority, authority}, {"path", got.Path, path},
		} {
			sent := readable(text.sent)
			if text.got == sent {
				continue
			}
			whole = false
			start, marked := strings.CutSuffix(text.got, cutMark)
			if !marked || !strings.HasPrefix(sent, start) {
				t.Errorf("%s is %q, want the start of %q with a mark", text.name, text.got, sent)
			}
		}
		// A header shows all the values that were sent under its name, or is left out.
		sent := map[string]values{}
		for _, h := range headers {
			if isPseudo(h[0]) {
				continue
			}
			value := readable(h[1])
			if c.hides(h[0]) {
				value = redacted
			}
			sent[h[0]] = append(sent[h[0]], value)
		}
		shown := 0
		for name, want := range sent {
			if strings.ContainsRune(readable(name), utf8.RuneError) {
				shown++ // two such names may read the same
				continue
			}
			if values, ok := got.Headers[name]; !ok {
				whole = false
			} else if shown++; strings.Join(values, "\n") != strings.Join(want, "\n") {
				t.Errorf("header %q is %q, want %q", name, values, want)
			}
		}
		if len(got.Headers) > shown {
			t.Errorf("headers that were not sent: %v", got.Headers)
		}
		if !whole && !got.Truncated {
			t.Errorf("something is missing without a mark: %s", line)
		}
	})
}

// With this limit one more character would be too much. All cuts are at the ends of
// characters and escapes, and use the room there is.
func TestCut(t *testing.T) {
	t.Parallel()
	const room = minLine / pathShare
	for _, tc := range []struct{ name, path, want string }{
		{"fits", strings.Repeat("a", room), strings.Repeat("a", room)},
		{"too long", strings.Repeat("a", room+1), strings.Repeat("a", room-3) + "…"},
		{"escapes fit", strings.Repeat(`"`, room/2), strings.Repeat(`\"`, room/2)},
		{"escapes too long", strings.Repeat(`"`, room/2+1), strings.Repeat(`\"`, room/2-2) + "…"},
		{"in a character", strings.Repeat("漢", room/3+1), strings.Repeat("漢", (room-3)/3) + "…"},
		{"few, all escapes", strings.Repeat("\x01", room/6+1), strings.Repeat(`\u0001`, (room-3)/6) + "…"},
		{"in a long escape", strings.Repeat("\x01", room), strings.Repeat(`\u0001`, (room-3)/6) + "…"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var l line
			l.begin(minLine, "", 0, "", "", tc.path)
			l.end(&ending{duration: -1})
			want := `{"stream_id":0,"path":"` + tc.want + `"}`
			if strings.HasSuffix(tc.want, "…") {
				want = want[:len(want)-1] + `,"truncated":true}`
			}
			check(t, string(l.buf), want)
		})
	}
}

// The headers may fill the line to the last byte.
func TestHeadersFillTheLine(t *testing.T) {
	t.Parallel()
	c := &config{allHeaders: true, maxLineBytes: minLine}
	most := 0
	for n := 0; n < minLine; n++ {
		line, cut := build(c, "GET", "a", "/", "200", [][2]string{{"x", strings.Repeat("v", n)}})
		if cut {
			break
		}
		most = len(line)
	}
	if want := minLine - len(`,"truncated":true`); most != want {
		t.Errorf("the longest line that is not cut has %d bytes, want %d", most, want)
	}
}

// At steady state a stream allocates nothing for its line.
func TestLineReusesItsBuffer(t *testing.T) {
	c := &config{allHeaders: true, redact: []string{"cookie"}, maxLineBytes: minLine}
	headers := [][2]string{{"accept", "*/*"}, {"cookie", "a"}, {"via", "a"}, {"via", "\xff"}, {"x-long", strings.Repeat("x", 9000)}}
	var l line
	if n := testing.AllocsPerRun(100, func() {
		l.begin(c.maxLineBytes, directionIn, 1, "GET", "a", "/")
		l.headers(c, headers)
		l.end(&ending{status: "200", bodies: true})
	}); n != 0 {
		t.Errorf("%v allocations for each line, want none", n)
	}
	l.begin(c.maxLineBytes, "", 2, "", "", "")
	l.end(&ending{duration: -1})
	check(t, string(l.buf), `{"stream_id":2}`)
	if cap(l.buf) > 2*minLine {
		t.Errorf("the buffer grew to %d bytes for a line of at most %d", cap(l.buf), minLine)
	}
}
