package retry

import (
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// Limits of what Reason reads and returns. A page says the reason below its style sheet.
const (
	maxPage   = 64 << 10
	maxReason = 512
)

// Reason returns what the body of an answer says to people, as one line of text without secrets
// and without the tags of a page.
func Reason(resp *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxPage)) // what arrives is only shown
	return ReasonIn(resp.Header.Get("Content-Type"), body)
}

// ReasonIn is Reason for a body that was read.
func ReasonIn(contentType string, body []byte) string {
	text := string(body)
	if IsPage(contentType, body) {
		text = html.UnescapeString(tag.ReplaceAllString(unseen.ReplaceAllString(text, " "), " "))
	}
	text = redact.Text(Printable(text))
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// IsPage reports whether an answer is a page for people.
func IsPage(contentType string, body []byte) bool {
	const page = "text/html"
	return strings.HasPrefix(strings.ToLower(contentType), page) ||
		len(body) > 0 && strings.HasPrefix(http.DetectContentType(body), page)
}

// unseen matches what a browser does not show, and tag everything else that is no text.
var (
	unseen = regexp.MustCompile(`(?is)<(style|script)\b.*?(</(style|script)\s*>|$)|<!--.*?(-->|$)`)
	tag    = regexp.MustCompile(`(?s)<[^>]*>`)
	title  = regexp.MustCompile(`(?is)<title\b[^>]*>(.*?)</title`)
)

// PageError says that a page for people came in place of an answer to a program: that of a
// login, of a proxy or of a portal.
type PageError struct {
	Method string
	// URL is the address without query and credentials.
	URL string
	// Status is the HTTP status, such as "200 OK".
	Status string
	// Title is the page's title, on one line; empty if it has none.
	Title string
}

// NewPageError describes a page. It reads the answer's body.
func NewPageError(resp *http.Response) *PageError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxPage)) // what arrives is only shown
	e := &PageError{Method: resp.Request.Method, URL: redact.URL(resp.Request.URL), Status: resp.Status}
	if found := title.FindSubmatch(body); found != nil {
		e.Title = redact.Text(Printable(html.UnescapeString(string(found[1]))))
	}
	return e
}

func (e *PageError) Error() string {
	text := e.Method + " " + e.URL + ": " + e.Status + " with text/html, a page"
	if e.Title != "" {
		text += ` with the title "` + e.Title + `"`
	}
	return text + " and no answer to a program; look at it in a browser: a login or a proxy may be in the way, or the address is not the right one"
}
