package storage

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// cleaner removes secrets from text of others: a server may repeat a request's headers in its
// answer, and SDKs put signed URLs into their errors.
type cleaner struct{ secrets *strings.Replacer }

func newCleaner(username, password, token string) cleaner {
	var pairs []string
	for _, secret := range []string{password, token} {
		if secret != "" {
			pairs = append(pairs,
				base64.StdEncoding.EncodeToString([]byte(username+":"+secret)), redact.Hidden,
				secret, redact.Hidden, url.QueryEscape(secret), redact.Hidden, url.PathEscape(secret), redact.Hidden)
		}
	}
	return cleaner{strings.NewReplacer(pairs...)}
}

func (c cleaner) text(text string) string { return redact.Text(c.secrets.Replace(text)) }

// err returns an error with the same chain and a clean text.
func (c cleaner) err(err error) error { return redact.Error(err, c.text) }
