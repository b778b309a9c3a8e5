package oci

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
)

// explained is a registry's failure in words that say what to do. The chain below
// it is the original's.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// explain makes an error of the registry client fit to be shown: without the query
// strings in which registries and their stores pass signatures, and with what can
// be done about it.
func (r *Registry) explain(err error) error {
	answer := new(errcode.ErrorResponse)
	deadline := new(retry.DeadlineError)
	var plain tls.RecordHeaderError
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound),
		// oras-go gives half a credential no type.
		err != nil && strings.Contains(err.Error(), "missing username or password for"):
		return &explained{"the registry asks for a user name and a password" + r.advice(http.StatusUnauthorized), err}
	case errors.As(err, &answer):
		text := fmt.Sprintf("%s %s: %d %s", answer.Method, redact.URL(answer.URL), answer.StatusCode, http.StatusText(answer.StatusCode))
		if len(answer.Errors) > 0 {
			text += ": " + redact.Text(retry.Printable(answer.Errors.Error()))
		}
		return &explained{text + r.advice(answer.StatusCode), err}
	case errors.As(err, &deadline):
		return &explained{err.Error() + "; run it again later, or set TRANSFER_TIMEOUT higher", err}
	case errors.As(err, &plain) && string(plain.RecordHeader[:]) == "HTTP/":
		return &explained{err.Error() + "; the registry does not speak TLS here: set REGISTRY to this registry and REGISTRY_PLAIN_HTTP=true if it really has no TLS", err}
	}
	return redact.Error(err, redact.Text)
}

// advice is what a person can do about an answer that stays as it is.
func (r *Registry) advice(status int) string {
	if r.anonymous && (status == http.StatusUnauthorized || status == http.StatusForbidden) {
		return "; it was asked without a password, as proxies do: let everybody read it (on GHCR a new package is private), or set REGISTRY_USERNAME and REGISTRY_PASSWORD to those of a reader"
	}
	switch status {
	case http.StatusUnauthorized:
		if r.static {
			return "; the registry does not accept REGISTRY_USERNAME and REGISTRY_PASSWORD: check both"
		}
		return fmt.Sprintf("; run \"docker login %s\" or \"oras login %s\", or set REGISTRY_USERNAME and REGISTRY_PASSWORD", r.host, r.host)
	case http.StatusForbidden:
		return "; these credentials may not do that: let them write to the repository (GitHub Actions: permissions: packages: write), or use others"
	case http.StatusRequestEntityTooLarge:
		return "; the registry or a proxy before it limits uploads: raise its limit (nginx: client_max_body_size), or make the module smaller"
	}
	return ""
}

// compared marks what oras-go says when it compared content or an answer with the
// descriptor that was asked for. Some of it has no type.
func compared(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData), errors.Is(err, content.ErrInvalidDescriptorSize),
		strings.Contains(err.Error(), ": mismatch Content-Length"),
		strings.Contains(err.Error(), ": mismatch response Content-Type "),
		strings.Contains(err.Error(), "; digest mismatch in "):
		return finding.Mismatch(err)
	}
	return err
}

// damaged reports whether a registry answered, but with something else than the
// manifest promises, or without it.
func damaged(err error) bool { return finding.Absent(err) || finding.Mismatched(err) }
