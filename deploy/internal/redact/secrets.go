package redact

import (
	"encoding/base64"
	"net/url"
	"strings"
	"sync"
)

// Secrets removes credentials from the text of others: a server may repeat a request's headers
// in its answer, and SDKs put signed URLs into their errors. The zero value knows none. Several
// goroutines may use it.
type Secrets struct {
	mu    sync.Mutex
	pairs []string
}

// Add makes a secret known, together with the user name that it is sent with.
func (s *Secrets) Add(username, secret string) {
	if secret == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, form := range []string{
		base64.StdEncoding.EncodeToString([]byte(username + ":" + secret)), secret, url.QueryEscape(secret), url.PathEscape(secret),
	} {
		s.pairs = append(s.pairs, form, Hidden)
	}
}

// Text returns the text without the secrets, and cleaned as by the function Text.
func (s *Secrets) Text(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Text(strings.NewReplacer(s.pairs...).Replace(text))
}

// Error returns an error with the same chain and a clean text.
func (s *Secrets) Error(err error) error { return Error(err, s.Text) }
