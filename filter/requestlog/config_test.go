package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/slipway-wasm/slipway/filter/httpheader"
)

func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"headers":"all"}`, `{"headers":"none"}`, `{"headers":["User-Agent","x-request-id"],"redact":[],"max_line_bytes":1024}`,
		`{"headers":[":path"]}`, `{"headers":["host"]}`, `{"headers":null}`, `{"redact":["x\r\ny"]}`, `{"redact":[1]}`,
		`{"max_line_bytes":1e4}`, `{"max_line_bytes":-1}`, `{"direction":"in"}`, `{"direction":"out"}`, `{"direction":"\n"}`,
		`{"headers":"\u2028"}`, "{\"headers\":\"\xff\"}", `[]`, `{"headers":[`, `{"x":{"x":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if direction, err := parseVMConfig(data); err != nil {
			checkMessage(t, err)
		} else if direction != "" && direction != directionIn && direction != directionOut {
			t.Errorf("direction %q", direction)
		}
		c, err := parseConfig(data)
		if err != nil {
			checkMessage(t, err)
			return
		}
		if len(data) > 0 && !json.Valid(data) && strings.TrimSpace(string(data)) != "" {
			t.Error("accepted, but not JSON")
		}
		if c.maxLineBytes < minLine || c.maxLineBytes > maxLine {
			t.Errorf("max_line_bytes %d", c.maxLineBytes)
		}
		if c.allHeaders && len(c.headers) > 0 {
			t.Error("all headers and a list of them")
		}
		for _, name := range append(c.headers, c.redact...) {
			if !httpheader.IsToken(name) || name != strings.ToLower(name) {
				t.Errorf("header name %q", name)
			}
		}
	})
}

// checkMessage checks that an error can be logged.
func checkMessage(t *testing.T, err error) {
	t.Helper()
	message := err.Error()
	if message == "" || !utf8.ValidString(message) || strings.ContainsAny(message, "\r\n\u2028\u2029\u0085") {
		t.Errorf("not one readable line: %q", message)
	}
}
