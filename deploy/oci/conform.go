package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/slipway-wasm/slipway/deploy/internal/retry"
)

// conform gives the answers of registries the form that the distribution specification wants
// and oras-go relies on. What it changes are deviations of registries that people use:
//
//   - HEAD of a manifest is refused, or lacks the digest, the length or the media type: the
//     manifest is fetched and hashed;
//   - HEAD of a blob is refused or lacks the length: the blob counts as absent, and is sent;
//   - a manifest comes without its length;
//   - referrers are refused in another way than with 404;
//   - a challenge that can be answered comes after others, or in one header with them;
//   - an error says its reason in HTML or as text;
//   - a page for people comes as a success: that is an error, *retry.PageError.
type conform struct{ next http.RoundTripper }

// condition is the context's key of requests that create a manifest, and never replace one.
type condition struct{}

// withCondition has a PUT sent with If-None-Match: *, for which oras-go has no option.
//
// Reference: https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match
func withCondition(ctx context.Context) context.Context {
	return context.WithValue(ctx, condition{}, true)
}

// Paths of the distribution specification.
//
// Reference: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
var (
	manifestPath  = regexp.MustCompile(`^/v2/.+/manifests/([^/]+)$`)
	blobPath      = regexp.MustCompile(`^/v2/.+/blobs/[^/]+:[^/]+$`)
	uploadPath    = regexp.MustCompile(`^/v2/.+/blobs/uploads/`)
	referrersPath = regexp.MustCompile(`^/v2/.+/referrers/[^/]+$`)
)

// unsupported are the answers of registries that have no referrers API. NAME_UNKNOWN is one
// of those with 404.
var unsupported = []int{
	http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented,
}

// RoundTrip sends the request and returns an answer that conforms.
func (c *conform) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPut && req.Context().Value(condition{}) != nil {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", "*")
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	path, success := req.URL.Path, resp.StatusCode/100 == 2
	fetched := req.Method == http.MethodGet && blobPath.MatchString(path)
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		if err := choose(req, resp); err != nil {
			_ = resp.Body.Close()
			return nil, err
		}
	case success && !fetched && strings.HasPrefix(path, "/v2/") && retry.IsPage(resp.Header.Get("Content-Type"), nil):
		defer func() { _ = resp.Body.Close() }()
		return nil, retry.NewPageError(resp)
	case req.Method == http.MethodHead && manifestPath.MatchString(path):
		return c.head(req, resp)
	case req.Method == http.MethodHead && blobPath.MatchString(path):
		if resp.StatusCode == http.StatusMethodNotAllowed || success && resp.ContentLength < 0 {
			resp.StatusCode = http.StatusNotFound
		}
	case req.Method == http.MethodGet && success && manifestPath.MatchString(path) && resp.ContentLength < 0:
		return resp, measure(resp)
	case req.Method == http.MethodGet && slices.Contains(unsupported, resp.StatusCode) && referrersPath.MatchString(path):
		resp.StatusCode = http.StatusNotFound
		return resp, replaceBody(resp, []byte("{}"))
	}
	if resp.StatusCode >= http.StatusBadRequest && req.Method != http.MethodHead {
		return resp, tell(resp)
	}
	return resp, nil
}

// head completes the answer to a HEAD of a manifest, if it lacks something, from a GET.
func (c *conform) head(req *http.Request, resp *http.Response) (*http.Response, error) {
	complete := resp.ContentLength >= 0 && resp.Header.Get("Content-Type") != "" &&
		(resp.Header.Get("Docker-Content-Digest") != "" || strings.Contains(manifestPath.FindStringSubmatch(req.URL.Path)[1], ":"))
	if resp.StatusCode != http.StatusMethodNotAllowed && (resp.StatusCode != http.StatusOK || complete) {
		return resp, nil
	}
	_ = resp.Body.Close()
	get := req.Clone(req.Context())
	get.Method = http.MethodGet
	resp, err := c.RoundTrip(get)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	resp.Header.Set("Docker-Content-Digest", digest.FromBytes(content).String())
	resp.Request, resp.ContentLength, resp.Body = req, int64(len(content)), http.NoBody
	return resp, nil
}

// measure reads a manifest whose length is unknown. A manifest that is too long stays longer
// than maxManifest.
func measure(resp *http.Response) error {
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	if err != nil {
		return errors.Join(err, resp.Body.Close())
	}
	return replaceBody(resp, content)
}

// tell puts the reason of an error that does not come as JSON where oras-go looks for it.
func tell(resp *http.Response) error {
	const enough = 64 << 10
	body, _ := io.ReadAll(io.LimitReader(resp.Body, enough)) // what arrives is only shown
	if reason := retry.ReasonIn(resp.Header.Get("Content-Type"), body); reason != "" && !json.Valid(body) {
		var err error
		if body, err = json.Marshal(map[string]errcode.Errors{"errors": {{Message: reason}}}); err != nil {
			return err
		}
	}
	return replaceBody(resp, body)
}

func replaceBody(resp *http.Response, content []byte) error {
	err := resp.Body.Close()
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	return err
}

// choose leaves the one challenge that oras-go can answer. It returns an error if there is
// none, and marks the end of a token's life in an upload as an error that goes away.
func choose(req *http.Request, resp *http.Response) error {
	if strings.HasPrefix(req.Header.Get("Authorization"), "Bearer ") && req.Method == http.MethodPut && uploadPath.MatchString(req.URL.Path) {
		// oras-go sends an upload with the token of the request before, and cannot send a
		// body twice.
		return retry.Again(&errcode.ErrorResponse{Method: req.Method, URL: req.URL, StatusCode: resp.StatusCode})
	}
	offered := parseChallenges(resp.Header.Values("WWW-Authenticate"))
	for _, scheme := range []string{"bearer", "basic"} {
		for _, c := range offered {
			if strings.EqualFold(c.scheme, scheme) && (scheme != "bearer" || c.params["realm"] != "") {
				resp.Header.Set("WWW-Authenticate", c.String())
				return nil
			}
		}
	}
	if len(offered) > 0 {
		return &challengeError{offered}
	}
	return nil
}

// challengeError says that a registry offers no way to log in that works here.
type challengeError struct{ offered []challenge }

func (e *challengeError) Error() string {
	var schemes []string
	for _, c := range e.offered {
		if scheme := retry.Printable(c.scheme); !slices.Contains(schemes, scheme) {
			schemes = append(schemes, scheme)
		}
	}
	return fmt.Sprintf("the registry asks for a login, and it offers %s; Slipway knows only Basic, and Bearer with a realm: let it offer one of them", strings.Join(schemes, " and "))
}

// challenge is one way to log in that a server offers.
type challenge struct {
	scheme string
	params map[string]string // by names in small letters
}

// String is the challenge as a header's value.
func (c challenge) String() string {
	var params []string
	for name, value := range c.params {
		params = append(params, name+"="+strconv.Quote(value))
	}
	slices.Sort(params)
	return c.scheme + " " + strings.Join(params, ",")
}

// challengeToken matches the next element of a header with challenges: a name with a value,
// or a scheme or a token68.
//
// Reference: https://www.rfc-editor.org/rfc/rfc9110#name-challenge-and-response
var challengeToken = regexp.MustCompile(`^([\s,]*)([!#$%&'*+.^_|~0-9A-Za-z/-]+)(\s*=\s*("(?:[^"\\]|\\.)*"|[!#$%&'*+.^_|~0-9A-Za-z-]+)|=*)`)

// parseChallenges reads all challenges of all headers. It stops at what it cannot read.
func parseChallenges(headers []string) []challenge {
	var all []challenge
	for _, rest := range headers {
		fresh := true // the next name without a value begins a challenge
		for {
			found := challengeToken.FindStringSubmatch(rest)
			if found == nil {
				break
			}
			before, name, value := found[1], found[2], found[4]
			fresh = fresh || strings.Contains(before, ",")
			rest = rest[len(found[0]):]
			switch {
			case value != "" && len(all) > 0:
				all[len(all)-1].params[strings.ToLower(name)] = unquote(value)
			case value == "" && fresh:
				all = append(all, challenge{name, map[string]string{}})
			}
			fresh = false
		}
	}
	return all
}

func unquote(value string) string {
	inner, quoted := strings.CutPrefix(value, `"`)
	if !quoted {
		return value
	}
	return escaped.ReplaceAllString(strings.TrimSuffix(inner, `"`), "$1")
}

var escaped = regexp.MustCompile(`\\(.)`)
