// Package redact makes text fit to be shown: it takes out of it what may be a secret.
//
// Everything that prints a URL, or a value that a person gave, goes through it. It
// would rather hide too much: who gave a value can look at it.
package redact

import (
	"errors"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// Hidden stands where something was taken out.
const Hidden = "[hidden]"

// URL is an address without user, password, query and fragment: presigned addresses
// and upload sessions carry their secrets in the query.
func URL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// aDigest matches the end of a reference by digest.
var aDigest = regexp.MustCompile(`@sha[0-9]+:[^@]*$`)

// Address is a URL, or a reference in a registry, as somebody wrote it, without what
// URL leaves out. A URL that cannot be read is hidden after its scheme.
func Address(text string) string {
	if scheme, _, isURL := strings.Cut(text, "://"); isURL {
		// The parser's error would repeat what it does not understand.
		u, err := url.Parse(text)
		if err != nil {
			return scheme + "://" + Hidden
		}
		return URL(u)
	}
	// What stands before any other @ is a name and a password.
	name := aDigest.ReplaceAllString(text, "")
	if at := strings.LastIndex(name, "@"); at >= 0 {
		return Hidden + text[at:]
	}
	return text
}

// anURL matches a URL within a text. A quote ends it, because errors quote them.
var anURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]+`)

// aPath matches the quoted address of a redirect to the same server, with a query.
var aPath = regexp.MustCompile(`("/[^"\s?#]*)[?#][^"]*"`)

// Text is a text from elsewhere, such as net/http's errors, with each URL in it as
// Address has it.
func Text(text string) string {
	text = aPath.ReplaceAllString(text, `$1"`)
	return anURL.ReplaceAllStringFunc(text, func(found string) string {
		address := strings.TrimRight(found, ".,:;)")
		return Address(address) + found[len(address):]
	})
}

// Error returns an error with the same chain, whose text is as clean makes it. It
// returns err itself if that changes nothing.
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

// Value is a setting's value if it is fit to be shown: the name of a file that is
// there, or a URL, as Address has it. Anything else may be a key or a password that
// was put into the wrong variable, and is hidden.
func Value(value string) string {
	if strings.Contains(value, "://") && len(strings.Fields(value)) == 1 {
		return Address(value)
	}
	if _, err := os.Stat(value); err == nil {
		return value
	}
	return Hidden
}

// ReadFile reads the file that a setting names. Its error does not repeat the name of
// a file that is not there: it may be what should be in the file.
func ReadFile(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil && Value(name) == Hidden {
		return nil, errNoFile
	}
	return data, err
}

// errNoFile does not wrap the error of the system, which repeats the name.
var errNoFile = errors.New("there is no file of that name, which is not shown, because it may be a key or a token itself; write such a thing to a file (mode 0600) and give the file's name")
