// Package redact removes possible secrets from text that is going to be shown.
//
// Everything that prints a URL, or a value that a person gave, uses it. When in doubt it hides
// too much: the person who gave a value can look it up.
package redact

import (
	"errors"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// Hidden replaces what was removed.
const Hidden = "[hidden]"

// URL returns an address without user, password, query and fragment: presigned addresses and
// upload sessions carry their secrets in the query.
func URL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// aDigest matches the end of a reference by digest.
var aDigest = regexp.MustCompile(`@sha[0-9]+:[^@]*$`)

// Address does the same as URL for the text of a URL, or of a reference in a registry. If the
// text is a URL that cannot be read, everything after its scheme is hidden.
func Address(text string) string {
	if scheme, _, isURL := strings.Cut(text, "://"); isURL {
		// The parser's error would repeat the text that it does not understand.
		u, err := url.Parse(text)
		if err != nil {
			return scheme + "://" + Hidden
		}
		return URL(u)
	}
	// The text before any other @ is a name and a password. A reference has no query: with an @
	// in it, nobody can tell where it begins.
	name := aDigest.ReplaceAllString(text, "")
	if at := strings.LastIndex(name, "@"); at >= 0 {
		if strings.ContainsAny(name[:at], "?#") {
			return Hidden
		}
		text = Hidden + text[at:]
	}
	if end := strings.IndexAny(text, "?#"); end >= 0 {
		text = text[:end]
	}
	return text
}

// anURL matches a URL within a text. A quote ends it, because errors quote them.
var anURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]+`)

// aPath matches the quoted address of a redirect to the same server, with a query.
var aPath = regexp.MustCompile(`("/[^"\s?#]*)[?#][^"]*"`)

// aHeader matches the credentials of a request, which some servers repeat in their answers. What
// follows the name of a scheme in a sentence is a word.
//
// Reference: https://www.rfc-editor.org/rfc/rfc9110#name-authorization
var aHeader = regexp.MustCompile(`(?i)(\bauthorization["']?\s*[:=]\s*(?:\[\s*)?["']?(?:(?:basic|bearer)\s+)?|\b(?:basic|bearer)\s+)([A-Za-z0-9._~+/=-]+)`)

var aWord = regexp.MustCompile(`^[A-Za-z][a-z]*[.]?$`)

// Text cleans a text from elsewhere, such as net/http's errors: it passes each URL in it
// through Address, and hides the credentials of requests, even those that nobody here knows,
// such as the token that a registry handed out.
func Text(text string) string {
	text = aHeader.ReplaceAllStringFunc(text, func(found string) string {
		parts := aHeader.FindStringSubmatch(found)
		sure := strings.Contains(strings.ToLower(parts[1]), "authorization")
		if !sure && aWord.MatchString(parts[2]) {
			return found
		}
		return parts[1] + Hidden
	})
	text = aPath.ReplaceAllString(text, `$1"`)
	return anURL.ReplaceAllStringFunc(text, func(found string) string {
		address := strings.TrimRight(found, ".,:;)")
		return Address(address) + found[len(address):]
	})
}

// Error returns an error with the same chain, and with the text that clean makes of the
// error's text. If that changes nothing, it returns err itself.
func Error(err error, clean func(string) string) error {
	if err == nil {
		return nil
	}
	if text := clean(err.Error()); text != err.Error() {
		return &redacted{text, err}
	}
	return err
}

type redacted struct {
	text string
	err  error
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.err }

// Value returns a setting's value if it is safe to show: the name of an existing file, or a
// URL, which passes through Address. Any other value may be a key or a password in the wrong
// variable, and is hidden.
func Value(value string) string {
	if strings.Contains(value, "://") && len(strings.Fields(value)) == 1 {
		return Address(value)
	}
	if _, err := os.Stat(value); err == nil {
		return value
	}
	return Hidden
}

// ReadFile reads the file that a setting names. If there is no such file, the error does not
// repeat the name: somebody may have given the file's content in place of its name.
func ReadFile(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil && Value(name) == Hidden {
		return nil, errNoFile
	}
	return data, err
}

// errNoFile does not wrap the system's error, which repeats the name.
var errNoFile = errors.New("there is no file of that name. The name is not shown, because it may itself be a key or a token; write such a secret to a file (mode 0600) and give the file's name")
