package storage

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"
)

// cleaner takes secrets out of text that comes from elsewhere: a server may repeat
// a request's headers in its answer, and SDKs put signed URLs into their errors.
type cleaner struct{ secrets *strings.Replacer }

func newCleaner(username, password, token string) cleaner {
	var pairs []string
	for _, secret := range []string{password, token} {
		if secret != "" {
			pairs = append(pairs,
				base64.StdEncoding.EncodeToString([]byte(username+":"+secret)), hidden,
				secret, hidden, url.QueryEscape(secret), hidden, url.PathEscape(secret), hidden)
		}
	}
	return cleaner{strings.NewReplacer(pairs...)}
}

const hidden = "[hidden]"

// query matches a URL with the query in which stores pass signatures.
var query = regexp.MustCompile(`(https?://[^\s"'?]+)\?[^\s"']*`)

func (c cleaner) text(text string) string {
	return query.ReplaceAllString(c.secrets.Replace(text), "$1")
}

// err returns an error with the same chain whose text is clean.
func (c cleaner) err(err error) error {
	if err == nil {
		return nil
	}
	if text := c.text(err.Error()); text != err.Error() {
		return &cleaned{text, err}
	}
	return err
}

type cleaned struct {
	text string
	err  error
}

func (c *cleaned) Error() string { return c.text }
func (c *cleaned) Unwrap() error { return c.err }
