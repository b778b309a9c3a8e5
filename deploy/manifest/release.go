package manifest

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"oras.land/oras-go/v2/registry"

	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Source describes one published version of one filter: in a registry, in a storage, or in
// both. Manifests are rendered for the places that it names.
type Source struct {
	// Filter is the filter's name.
	Filter string
	// Version is the semantic version, without a leading v.
	Version string
	// Repository is the filter's repository in the registry, without scheme, tag
	// and digest, for example "ghcr.io/acme/filters/headers". Default: the
	// release is not in a registry.
	Repository string
	// Tag is the version's tag in Repository, for example "1.4.0". People and tools that
	// update references read it; proxies obey ManifestDigest alone. Required with Repository.
	Tag string
	// ManifestDigest is the digest of the OCI manifest, "sha256:" and 64 hex
	// digits. Required with Repository.
	ManifestDigest string
	// URL is the absolute http or https URL of the raw module. Everybody can read it. Default:
	// the release is not in a storage.
	URL string
	// Redirect is the address that URL redirects to, without query. If it is set, there is no
	// form for plain Envoy, which does not follow redirects. Default: URL serves the module
	// itself.
	Redirect string
	// WasmSHA256 is the sha256 of the module itself, 64 hex digits. Required with URL.
	WasmSHA256 string
}

// ErrURL says that a release's URL is the storage's own address, and neither http nor https.
var ErrURL = errors.New("not one that proxies can fetch")

var (
	sha256Hex      = regexp.MustCompile(`^[0-9a-f]{64}$`)
	manifestDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// Check reports what is wrong with the facts, above all what would make a proxy pull nothing
// or the wrong thing.
func (r Source) Check() error {
	if err := catalog.CheckName(r.Filter); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if err := r.check(); err != nil {
		return fmt.Errorf("release %s %s: %w", r.Filter, r.Version, err)
	}
	return nil
}

func (r Source) check() error {
	if _, err := version.Parse(r.Version); err != nil {
		return err
	}
	if r.Repository == "" && r.URL == "" {
		return errors.New("it is neither in a registry nor in a storage; push or upload it first")
	}
	if err := r.checkOCI(); err != nil {
		return err
	}
	return r.checkHTTP()
}

func (r Source) checkOCI() error {
	switch {
	case r.Repository == "" && r.ManifestDigest == "":
		return nil
	case r.Repository == "":
		return fmt.Errorf("manifest digest %s without a repository", r.ManifestDigest)
	case !manifestDigest.MatchString(r.ManifestDigest):
		return fmt.Errorf("manifest digest %q is not sha256: and 64 lower-case hex digits", r.ManifestDigest)
	}
	ref, err := registry.ParseReference(r.Repository)
	if err != nil || ref.Reference != "" {
		return fmt.Errorf("repository %q is not a registry's host and a path; write it without scheme, tag and digest", r.Repository)
	}
	if ref.Reference = r.Tag; ref.ValidateReferenceAsTag() != nil {
		return fmt.Errorf("tag %q is none that a registry can have; give the version's tag, such as 1.4.0", r.Tag)
	}
	return nil
}

func (r Source) checkHTTP() error {
	if r.WasmSHA256 != "" && !sha256Hex.MatchString(r.WasmSHA256) {
		return fmt.Errorf("wasm sha256 %q is not 64 lower-case hex digits", r.WasmSHA256)
	}
	if r.URL == "" {
		return nil
	}
	if r.WasmSHA256 == "" {
		return errors.New("a URL without a wasm sha256: nobody could check what it serves")
	}
	u, err := url.Parse(r.URL)
	switch {
	case err != nil:
		// This leaves out url.Error's text, which repeats the URL and with it a password.
		return errors.New("the URL cannot be read; give an absolute one such as https://example.com/headers.wasm")
	case u.User != nil:
		return errors.New("the URL carries a user or password, which proxies would not send and everybody with the manifest could read; serve the module without credentials")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return fmt.Errorf("URL %q is %w", redact.Address(r.URL), ErrURL)
	case strings.ContainsFunc(r.URL, func(c rune) bool { return c <= ' ' || c > '~' }):
		return fmt.Errorf("URL %q has characters that no URL has; write them as percent and two digits", r.URL)
	case u.Fragment != "", u.RawQuery != "":
		return errors.New("the URL has a query or a fragment: a signed URL expires, and proxies fetch again after that; serve the module under a plain URL")
	}
	return nil
}
