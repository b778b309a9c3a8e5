// Package redirect knows which consumers fetch a module from a URL that answers with a
// redirect, and so does not let a client that follows redirects hide one.
package redirect

import (
	"net/http"

	"github.com/slipway-wasm/slipway/deploy/internal/redact"
)

// Who says which consumers fetch through a redirect. Envoy takes any answer but 200 for
// a failure; the others use Go's client with its defaults.
//
// References:
//   - https://github.com/envoyproxy/envoy/blob/v1.40.0/source/common/config/remote_data_fetcher.cc
//   - https://github.com/istio/istio/blob/1.31.1/pkg/wasm/httpfetcher.go
//   - https://github.com/envoyproxy/gateway/blob/v1.9.1/internal/wasm/httpfetcher.go
const Who = "Istio and Envoy Gateway follow it, plain Envoy does not"

// To is where the redirects led that an answer of http.Client came through, without
// query and credentials; empty if there was none.
func To(resp *http.Response) string {
	// Client sets Response on the requests that it makes for a redirect.
	if resp.Request == nil || resp.Request.Response == nil {
		return ""
	}
	return redact.URL(resp.Request.URL)
}
