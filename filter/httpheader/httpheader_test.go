package httpheader

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	const (
		empty      = "the header name is empty; write a name such as x-my-header"
		token      = " is not a token; use letters, digits and -"
		pseudo     = " is a pseudo header, which only the proxy sets; change it in the proxy's route"
		framing    = " frames the body, which is the proxy's work; leave it out"
		connection = " belongs to one connection (hop-by-hop), which is the proxy's work; leave it out"
	)
	for _, tc := range []struct{ in, want string }{
		{"x-my-custom-header", ""},
		{"X-My-Header", ""},
		{"a", ""},
		{"!#$%&'*+-.^_`|~09azAZ", ""},
		{"authorization", ""},
		{"proxy-authorization", ""},
		{"proxy-authenticate", ""},
		{"content-type", ""},
		{"content-encoding", ""},
		{"tea", ""},
		{"", empty},
		{":path", `header ":path"` + pseudo},
		{":", `header ":"` + pseudo},
		{"x:y", `header name "x:y"` + token},
		{"x y", `header name "x y"` + token},
		{" x", `header name " x"` + token},
		{"x\r\ny", `header name "x\x0d\x0ay"` + token},
		{"x\x00", `header name "x\x00"` + token},
		{"x\t", `header name "x\x09"` + token},
		{"größe", `header name "größe"` + token},
		{"x\xff", `header name "x\xff"` + token},
		{`x"`, `header name "x\""` + token},
		{"Host", `header "Host" is the pseudo header :authority in the proxy; change it in the proxy's route`},
		{"Content-Length", `header "Content-Length"` + framing},
		{"transfer-encoding", `header "transfer-encoding"` + framing},
		{"trailer", `header "trailer"` + framing},
		{"Connection", `header "Connection"` + connection},
		{"keep-alive", `header "keep-alive"` + connection},
		{"proxy-connection", `header "proxy-connection"` + connection},
		{"TE", `header "TE"` + connection},
		{"upgrade", `header "upgrade"` + connection},
		{"http2-settings", `header "http2-settings"` + connection},
	} {
		got := ""
		if err := CheckName(tc.in); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("CheckName(%q)\ngot  %s\nwant %s", tc.in, got, tc.want)
		}
	}
}

func TestCheckValue(t *testing.T) {
	t.Parallel()
	const (
		lineBreak = "the header value holds a line break; write it on one line"
		control   = "the header value holds a control character; remove it"
		ends      = "the header value starts or ends with white space; remove it"
	)
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"hello world", ""},
		{"a\tb", ""},
		{`"quoted", ~!@#`, ""},
		{"größe", ""},
		{"\x80\xff", ""},
		{"a\r\nset-cookie: x", lineBreak},
		{"a\rb", lineBreak},
		{"a\n", lineBreak},
		{"\x00", "the header value holds a NUL character; remove it"},
		{"a\x01", control},
		{"a\x1fb", control},
		{"a\x7fb", control},
		{" a", ends},
		{"a\t", ends},
		{" ", ends},
	} {
		got := ""
		if err := CheckValue(tc.in); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("CheckValue(%q)\ngot  %s\nwant %s", tc.in, got, tc.want)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "x-a": "x-a", "X-A": "x-a", "x-A-b_Z": "x-a-b_z", "@[": "@[", "Ä": "Ä",
	} {
		if got := Canonical(in); got != want {
			t.Errorf("Canonical(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzCheck: what is accepted, net/http writes as exactly one header line.
func FuzzCheck(f *testing.F) {
	for _, seed := range [][2]string{
		{"x-my-custom-header", "hello world"}, {"X-A", ""}, {":path", "/"}, {"host", "a"}, {"x\r\n", "a\r\nb: c"}, {"", " "}, {"x", "\x00\x7f\xff"}, {"a b", "\t"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		nameErr, valueErr := CheckName(name), CheckValue(value)
		for _, err := range []error{nameErr, valueErr} {
			if err == nil {
				continue
			}
			if m := err.Error(); !utf8.ValidString(m) || strings.ContainsAny(m, "\r\n\x00") || len(m) > 512 {
				t.Fatalf("message %q", m)
			}
		}
		if nameErr != nil || valueErr != nil {
			return
		}
		var b strings.Builder
		if err := (http.Header{name: {value}}).Write(&b); err != nil {
			t.Fatal(err)
		}
		if want := name + ": " + value + "\r\n"; b.String() != want {
			t.Fatalf("got %q, want %q", b.String(), want)
		}
	})
}
