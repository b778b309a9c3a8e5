// Package redirect knows which consumers follow a redirect when they fetch a module. It finds
// redirects that a client follows silently.
package redirect

import (
	"net/http"

	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// Who says which consumers follow a redirect. Envoy takes any answer but 200 for a failure;
// the others use Go's client with its defaults.
//
// References:
//   - https://github.com/envoyproxy/envoy/blob/v1.40.0/source/common/config/remote_data_fetcher.cc
//   - https://github.com/istio/istio/blob/1.31.1/pkg/wasm/httpfetcher.go
//   - https://github.com/envoyproxy/gateway/blob/v1.9.1/internal/wasm/httpfetcher.go
const Who = "Istio and Envoy Gateway follow it, plain Envoy does not"

// To returns the address that an http.Client was redirected to before it got the answer,
// without query and credentials; empty if there was no redirect.
func To(resp *http.Response) string {
	// When Client follows a redirect, it sets Response on the new request.
	if resp.Request == nil || resp.Request.Response == nil {
		return ""
	}
	return redact.URL(resp.Request.URL)
}
