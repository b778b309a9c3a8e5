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

// Errors about the options of a registry, to be found by errors.Is.
var (
	// ErrNoCredentials says that the registry wants a user name and a password, or
	// other ones.
	ErrNoCredentials = errors.New("credentials are missing")
	// ErrWrongCredentials says that RegistryOptions.Username and Password are wrong.
	ErrWrongCredentials = errors.New("give the user name and the password of this registry, both")
	// ErrNoLogin says that the registry offers no way to log in that is known here.
	ErrNoLogin = errors.New("the registry offers no known way to log in")
	// ErrNoTLS says that the registry does not speak TLS. RegistryOptions.PlainHTTP
	// allows that.
	ErrNoTLS = errors.New("the registry does not speak TLS here")
	// ErrFixedTags says that the registry lets no tag move. RegistryOptions.FixedTags does
	// not try.
	ErrFixedTags = errors.New("the registry lets no tag move")
	// ErrOtherRegistry says that a reference is in another registry.
	ErrOtherRegistry = errors.New("not in the registry")
	// ErrNoModule says that a manifest holds no wasm module in any Shape.
	ErrNoModule = errors.New("it holds no wasm module in a shape that Slipway knows")
)

// explained is a registry's failure, with a text that says what to do. Its chain has
// the original error and, if there is a name for it, the kind of failure.
type explained struct {
	text string
	err  error
	kind error
}

func (e *explained) Error() string { return e.text }

func (e *explained) Unwrap() []error {
	if e.kind == nil {
		return []error{e.err}
	}
	return []error{e.err, e.kind}
}

// explain makes an error of the registry client fit to be shown. It removes query
// strings, in which registries and their stores pass signatures, and credentials, which a
// registry may repeat, and adds what can be done.
func (r *Registry) explain(err error) error { return r.secrets.Error(r.explainOpen(err)) }

func (r *Registry) explainOpen(err error) error {
	answer := new(errcode.ErrorResponse)
	var plain tls.RecordHeaderError
	page, challenge := new(retry.PageError), new(challengeError)
	switch {
	case errors.As(err, &page):
		return &explained{page.Error(), err, nil}
	case errors.As(err, &challenge):
		return &explained{challenge.Error(), err, ErrNoLogin}
	case err != nil && strings.Contains(err.Error(), "blob upload Location "):
		// oras-go sends no password and no module to another host, and has no type for that.
		return &explained{redact.Text(err.Error()) + "; a proxy before the registry may hide the name and scheme that were asked for: let it pass on Host and X-Forwarded-Proto", err, nil}
	case errors.Is(err, auth.ErrBasicCredentialNotFound),
		// oras-go has no error type for half a credential.
		err != nil && strings.Contains(err.Error(), "missing username or password for"):
		advice, kind := r.advice(http.StatusUnauthorized)
		return &explained{"the registry asks for a user name and a password" + advice, err, kind}
	case errors.As(err, &answer):
		text := fmt.Sprintf("%s %s: %d %s", answer.Method, redact.URL(answer.URL), answer.StatusCode, http.StatusText(answer.StatusCode))
		if len(answer.Errors) > 0 {
			text += ": " + redact.Text(retry.Printable(strings.TrimPrefix(answer.Errors.Error(), ": ")))
		}
		advice, kind := r.advice(answer.StatusCode)
		if answer.StatusCode == http.StatusNotFound && answer.Method != http.MethodGet && answer.Method != http.MethodHead {
			advice = "; this registry makes no repository by itself: make it first"
		}
		return &explained{text + advice, err, kind}
	case errors.As(err, &plain) && string(plain.RecordHeader[:]) == "HTTP/":
		err = fmt.Errorf("%w; %w", err, ErrNoTLS)
	}
	return redact.Error(err, redact.Text)
}

// advice returns what a person can do about a status that retries do not change, and
// the kind of failure.
func (r *Registry) advice(status int) (advice string, kind error) {
	if r.anonymous && (status == http.StatusUnauthorized || status == http.StatusForbidden) {
		return "; it was asked without a password, as proxies do: let everybody read it (on GHCR a new package is private)", ErrNoCredentials
	}
	switch status {
	case http.StatusUnauthorized:
		if r.static {
			return "; the registry does not accept this user name and this password", ErrWrongCredentials
		}
		return fmt.Sprintf("; run \"docker login %s\" or \"oras login %s\"", r.host, r.host), ErrNoCredentials
	case http.StatusForbidden:
		return "; these credentials may not do that: let them write to the repository (GitHub Actions: permissions: packages: write), or use others", nil
	case http.StatusRequestEntityTooLarge:
		return "; the registry or a proxy before it limits uploads: raise its limit (nginx: client_max_body_size), or make the module smaller", nil
	}
	return "", nil
}

// refusesToMove reports whether an error is the final answer of a registry that a tag which
// exists stays where it is. Registries with immutable tags give it various statuses: 400
// (ECR), 403 (Artifact Registry), 409 (Quay) and 412 (Harbor).
func refusesToMove(err error) bool {
	answer := new(errcode.ErrorResponse)
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// compared marks the errors of oras-go that come from comparing content or an answer
// with the requested descriptor. Some of them have no type.
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

// damaged reports whether a registry answered, but with other content than the manifest
// promises, or without it.
func damaged(err error) bool { return finding.Absent(err) || finding.Mismatched(err) }
