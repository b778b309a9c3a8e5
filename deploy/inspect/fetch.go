package inspect

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/slipway-wasm/slipway/deploy/internal/finding"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/internal/redirect"
)

// maxModule limits the size of a download: Istio and Envoy Gateway accept no more.
//
// Reference: https://github.com/istio/istio/blob/master/pkg/wasm/httpfetcher.go
const maxModule = 256 << 20

// Fetched is what a URL serves.
type Fetched struct {
	// Wasm is the module.
	Wasm []byte
	// Packed says that the module was served compressed or in an archive. Istio
	// unpacks it before it compares the sha256; plain Envoy does neither.
	Packed bool
	// Redirect is the address that URL redirects to, without query; empty if URL serves the
	// module itself. Plain Envoy follows no redirect.
	Redirect string
}

// Fetch fetches a module by HTTP. It sends no credentials except those in the URL. Errors show
// URLs without credentials and without queries.
func Fetch(ctx context.Context, url string) (*Fetched, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		// The parser's error repeats the URL, with its secrets.
		return nil, fmt.Errorf("fetch module: %s is no URL", redact.Address(url))
	}
	// Without this header, Go asks for gzip and unpacks it silently.
	req.Header.Set("Accept-Encoding", "identity")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch module: %w", redact.Error(err, redact.Text))
	}
	defer func() { _ = res.Body.Close() }()
	from := redact.URL(res.Request.URL) // that of the last redirect
	if res.StatusCode != http.StatusOK {
		err := fmt.Errorf("fetch module: %s answers %s", from, res.Status)
		if res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone {
			err = finding.Absence(err)
		}
		return nil, err
	}
	body, err := readAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("fetch module: %s: %w", from, err)
	}
	wasm, err := unpack(body)
	if err != nil {
		return nil, fmt.Errorf("fetch module: %s: unpack it: %w", from, err)
	}
	return &Fetched{Wasm: wasm, Packed: !bytes.Equal(wasm, body), Redirect: redirect.To(res)}, nil
}

// unpack unpacks first gzip and then tar, as Istio does.
func unpack(body []byte) ([]byte, error) {
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		zip, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body, err = readAll(zip); err != nil {
			return nil, err
		}
	}
	const magicAt = 257 // of a tar archive
	if len(body) < magicAt+5 || string(body[magicAt:magicAt+5]) != "ustar" {
		return body, nil
	}
	archive := tar.NewReader(bytes.NewReader(body))
	for {
		header, err := archive.Next()
		if err != nil {
			return nil, fmt.Errorf("find a file in the archive: %w", err)
		}
		if header.Typeflag == tar.TypeReg {
			return readAll(archive)
		}
	}
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(data) > maxModule {
		err = fmt.Errorf("it has more than the %d bytes that proxies read", maxModule)
	}
	return data, err
}
