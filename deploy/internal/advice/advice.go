// Package advice says what to do about an error: which variable to set, which target to run.
// The other packages below deploy/ know neither, and return errors of their own field.
package advice

import (
	"errors"
	"slices"
	"strings"

	"github.com/slipway-wasm/slipway/deploy/attest"
	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/release"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
)

// Row is the advice for one kind of error.
type Row struct {
	About error
	Do    string
}

// table has the errors of everything that a target calls. Only programs call package envoy, so
// its errors are in package foreground: here they would make the magefile a tenth larger.
var table = []Row{
	{build.ErrNoTinyGo, `"go tool mage tinygo" downloads it into your cache folder; or set COMPILER=go`},
	{build.ErrTinyGoCrashed, "COMPILER=go builds without it"},
	{build.ErrOldTinyGo, `"go tool mage tinygo" gets the pinned release, and COMPILER=go builds without it`},
	{build.ErrOtherTinyGo, "or leave TINYGO_VERSION unset"},
	{release.ErrNotPinned, `get the pinned release with "go tool mage tinygo", or set TINYGO_VERSION to the release that you want`},
	{build.ErrNewerGo, "or set FILTER_GOTOOLCHAIN to a release that is new enough, or COMPILER=go where TinyGo does not take that"},
	{build.ErrUnknownCompiler, "correct COMPILER, or unset it"},
	{build.ErrNotBuilt, `run "go tool mage build"`},
	{build.ErrChanged, `run "go tool mage build"`},
	{build.ErrSourcesChanged, `or run "go tool mage build"`},
	{oci.ErrNoCredentials, "or set REGISTRY_USERNAME and REGISTRY_PASSWORD to those of somebody who may"},
	{oci.ErrWrongCredentials, "check REGISTRY_USERNAME and REGISTRY_PASSWORD"},
	{oci.ErrNoTLS, "set REGISTRY to this registry and REGISTRY_PLAIN_HTTP=true if it really has no TLS"},
	{oci.ErrFixedTags, "MOVING_TAGS=none leaves them alone without trying"},
	{oci.ErrOtherRegistry, "set REGISTRY to the one that it is in"},
	{oci.ErrNoModule, `"go tool mage verify" says what it is`},
	{retry.ErrDeadline, "run it again later, or set TRANSFER_TIMEOUT higher"},
	{attest.ErrNoSigner, "set SIGN_KEY to a key"},
	{attest.ErrPolicy, "set VERIFY_KEY, or VERIFY_IDENTITY and VERIFY_ISSUER"},
	{attest.ErrSigstore, "look at FULCIO_URL, REKOR_URL, TIMESTAMP_URL and TRUSTED_ROOT"},
	{attest.ErrPlayedOther, `"go tool mage e2e" plays what is in dist`},
	{attest.ErrTrustedRoot, "or set TRUSTED_ROOT to the file of a private one"},
	{manifest.ErrURL, "set STORAGE_PUBLIC_URL to the http or https address under which everybody can read the storage"},
	{storage.ErrCredentials, "set STORAGE_USERNAME and STORAGE_PASSWORD, or STORAGE_TOKEN, to what the server accepts"},
	{storage.ErrCredentialsInAddress, "set STORAGE_USERNAME and STORAGE_PASSWORD, or STORAGE_TOKEN, or what the cloud's own tools read"},
	{storage.ErrFixedLists, "or set STORAGE_LISTS=none to publish without them"},
	{storage.ErrLineBreak, `it came from STORAGE_USERNAME, STORAGE_PASSWORD or STORAGE_TOKEN; "$(cat FILE)" leaves the line break out`},
	{storage.ErrMoved, "set STORAGE_URL to that"},
	{storage.ErrNoPublicURL, "set STORAGE_PUBLIC_URL"},
	{storage.ErrElsewhere, "set STORAGE_PUBLIC_URL to the address that does, and let everybody read it"},
	{storage.ErrPrivate, "or set STORAGE_PUBLIC_URL to an address that answers everybody"},
	{release.ErrShapes, "add it to SHAPES"},
	{version.ErrOtherFilters, "unset FILTERS"},
	{release.ErrTransferTimeout, "set TRANSFER_TIMEOUT higher, or look what is slow"},
	{release.ErrNoTag, "a rehearsal, without REGISTRY and STORAGE_URL, needs no tag"},
}

// Add adds advice to an error, if the table or one of the given rows has some. The chain stays
// the same. nil stays nil, and an error that has advice stays unchanged.
func Add(err error, more ...Row) error {
	if err == nil || errors.As(err, new(*advised)) {
		return err
	}
	var advice []string
	for _, row := range slices.Concat(table, more) {
		if errors.Is(err, row.About) && !slices.Contains(advice, row.Do) {
			advice = append(advice, row.Do)
		}
	}
	if len(advice) == 0 {
		return err
	}
	return &advised{err, advice}
}

// advised is an error with advice.
type advised struct {
	error
	advice []string
}

func (a *advised) Unwrap() error { return a.error }

// Error puts the advice at the end of the error: on its line, or below its lines.
func (a *advised) Error() string {
	text, separator := a.error.Error(), "; "
	if strings.Contains(text, "\n") {
		separator = "\n"
	}
	return strings.TrimRight(text, "\n") + separator + strings.Join(a.advice, separator)
}
