// Package httpheader says which header names and values a filter may be
// configured with.
//
// It exists because a filter hands its configured names and values straight to the
// proxy. A name or value that HTTP forbids would split a message, break its framing, or
// make the peer drop the connection. Such a configuration is refused when the filter
// starts, and not met on the first request.
package httpheader

import (
	"errors"

	"github.com/slipway-wasm/slipway/filter/conf"
)

// Canonical returns a header name in lower case: the form that HTTP/2 and HTTP/3
// send (RFC 9113 section 8.2.1) and that Envoy keeps headers in.
func Canonical(name string) string {
	b := []byte(name)
	for i, c := range b {
		if isUpper(c) {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// Sensitive lists the headers, in canonical form, whose values are credentials
// and do not belong in a log.
var Sensitive = []string{"authorization", "proxy-authorization", "cookie", "set-cookie", "x-auth"}

// CheckName returns an error, one line that says what to do, unless name is a
// header that a filter may read and change. Upper case is allowed.
//
// It refuses a name that is no token (RFC 9110 sections 5.1 and 5.6.2); pseudo headers
// such as :path (RFC 9113 section 8.3); host, which Envoy keeps as :authority; the
// headers of one connection (RFC 9110 section 7.6.1), which Envoy removes and an HTTP/2
// peer treats as a malformed message (RFC 9113 section 8.2.2); and the headers that
// frame the body (RFC 9112 section 6), where a wrong one is request smuggling.
// Proxy-Authenticate and Proxy-Authorization are allowed: since RFC 7235 they are no
// longer hop-by-hop, and Envoy forwards them.
func CheckName(name string) error {
	if name == "" {
		return errors.New("the header name is empty; write a name such as x-my-header")
	}
	if name[0] == ':' {
		return errors.New("header " + conf.Quote(name) + " is a pseudo header, which only the proxy sets; change it in the proxy's route")
	}
	if !IsToken(name) {
		return errors.New("header name " + conf.Quote(name) + " is not a token; use letters, digits and -")
	}
	switch Canonical(name) {
	case "host":
		return errors.New("header " + conf.Quote(name) + " is the pseudo header :authority in the proxy; change it in the proxy's route")
	case "content-length", "transfer-encoding", "trailer":
		return errors.New("header " + conf.Quote(name) + " frames the body, which is the proxy's work; leave it out")
	case "connection", "keep-alive", "proxy-connection", "te", "upgrade",
		"http2-settings": // RFC 7540 section 3.2.1, obsolete, but Envoy still removes it
		return errors.New("header " + conf.Quote(name) + " belongs to one connection (hop-by-hop), which is the proxy's work; leave it out")
	}
	return nil
}

// IsToken reports whether name is a token of RFC 9110 section 5.6.2, as the name of a
// header field must be. That is enough for a header that is only read. For a header
// that is set, see [CheckName].
func IsToken(name string) bool {
	for i := 0; i < len(name); i++ {
		if !isTokenChar(name[i]) {
			return false
		}
	}
	return name != ""
}

// isTokenChar is tchar of RFC 9110 section 5.6.2.
func isTokenChar(c byte) bool {
	switch {
	case '0' <= c && c <= '9', 'a' <= c && c <= 'z', isUpper(c):
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}

// CheckValue returns an error, one line that says what to do, unless value is a
// field value of RFC 9110 section 5.5: no control characters but a tab (CR, LF
// and NUL are the dangerous ones), and no white space at either end, which
// HTTP/2 refuses (RFC 9113 section 8.2.1). An empty value and bytes from 0x80 on
// are allowed. The message does not repeat the value, which may be a secret.
func CheckValue(value string) error {
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\r' || c == '\n':
			return errors.New("the header value holds a line break; write it on one line")
		case c == 0:
			return errors.New("the header value holds a NUL character; remove it")
		case c < ' ' && c != '\t' || c == 0x7f:
			return errors.New("the header value holds a control character; remove it")
		}
	}
	if value != "" && (isBlank(value[0]) || isBlank(value[len(value)-1])) {
		return errors.New("the header value starts or ends with white space; remove it")
	}
	return nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
