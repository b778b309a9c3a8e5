package envoy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	func_e "github.com/tetratelabs/func-e"
	"github.com/tetratelabs/func-e/api"

	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// funcEVersionsURL is func-e's list of versions:
// https://pkg.go.dev/github.com/tetratelabs/func-e@v1.6.0/api#EnvoyVersionsURL
const funcEVersionsURL = "https://archive.tetratelabs.io/envoy/envoy-versions.json"

// funcEHas returns an earlier download of the user's own func-e.
func (f *finder) funcEHas(ctx context.Context) (Binary, error) {
	versions, err := f.funcEVersionsDir()
	if err != nil {
		return Binary{}, err
	}
	return f.in(ctx, versions)
}

// funcEVersionsDir follows
// https://github.com/tetratelabs/func-e/blob/v1.6.0/RATIONALE.md#why-do-we-have-so-many-environment-variables-for-file-locations
func (f *finder) funcEVersionsDir() (string, error) {
	if f.FuncEDataHome != "" {
		return filepath.Join(f.FuncEDataHome, "envoy-versions"), nil
	}
	if home := os.Getenv("FUNC_E_HOME"); home != "" {
		return filepath.Join(home, "versions"), nil
	}
	if data := os.Getenv("FUNC_E_DATA_HOME"); data != "" {
		return filepath.Join(data, "envoy-versions"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "share", "func-e", "envoy-versions"), nil
}

// funcEDownload makes func-e download into stage. It does not use func-e's own folder: func-e
// unpacks in place, and takes the remains of a broken download for an Envoy the next time.
func (f *finder) funcEDownload(ctx context.Context, stage string) (string, error) {
	if err := f.funcEReachable(ctx); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, downloadTimeout, fmt.Errorf("gave up after %v", downloadTimeout))
	defer cancel()
	f.logf("func-e: downloading")
	// func-e has no call that only downloads. The least that it can run is an Envoy that
	// prints its version.
	err := func_e.Run(ctx, []string{"--version"},
		api.HomeDir(stage),
		api.EnvoyVersionsURL(f.VersionsURL),
		api.EnvoyVersion(f.Version),
		api.Out(io.Discard), api.EnvoyOut(io.Discard), api.EnvoyErr(io.Discard))
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("download: %w", redact.Error(err, redact.Text))
	}
	return filepath.Join(stage, "versions", f.Version), nil
}

// funcEReachable asks for the list of versions with a short deadline, which
// func-e itself does not set.
func (f *finder) funcEReachable(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, f.lookupTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.VersionsURL, http.NoBody)
	if err != nil {
		return fmt.Errorf("list of versions: %s is not a URL", redact.Address(f.VersionsURL))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("server cannot be reached (tried for %.1fs): %w", time.Since(began).Seconds(), redact.Error(err, redact.Text))
	}
	defer res.Body.Close() //nolint:errcheck // nothing was written
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("server answered %s to %s", res.Status, redact.Address(f.VersionsURL))
	}
	return nil
}
