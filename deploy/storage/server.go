package storage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/immutable"
	"github.com/slipway-wasm/slipway/deploy/internal/redact"
	"github.com/slipway-wasm/slipway/deploy/internal/redirect"
	"github.com/slipway-wasm/slipway/deploy/internal/retry"
)

// server is a Bucket behind a web server that takes PUT: Artifactory, Nexus,
// Apache or nginx with WebDAV, and others.
//
// HTTP has conditional requests, but servers treat them differently on a PUT: nginx ignores
// If-None-Match and overwrites, because its DAV module runs before conditions are checked. So
// the server is tried out first, on a small object for this purpose: see learn.
type server struct {
	base      string
	client    *http.Client
	authorize func(*http.Request)
	retry     retry.Policy
	warn      func(format string, args ...any)
	kind      serverKind
	// fixedLists says that the server refuses to overwrite lists; nil if it does not, or if
	// that is unknown.
	fixedLists error
}

var _ Bucket = (*server)(nil)

// serverKind is how a server keeps two writers apart.
type serverKind int

const (
	unknown serverKind = iota
	// locking servers have LOCK and MOVE of WebDAV.
	locking
	// conditional servers lack them, but honour If-None-Match and If-Match.
	conditional
	// trusting servers have neither. Two writers notice each other only after writing.
	trusting
)

func newServer(base string, transport http.RoundTripper, authorize func(*http.Request), policy retry.Policy, warn func(string, ...any)) *server {
	return &server{
		base:      base,
		authorize: authorize,
		retry:     policy,
		warn:      warn,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: followReads,
		},
	}
}

// followReads follows the redirects of a read, as that of Artifactory to a bucket, without
// credentials. net/http turns a redirected PUT into a GET, whose status 200 proves nothing.
func followReads(req *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet || len(via) > maxRedirects || first.URL.Scheme == schemeHTTPS && req.URL.Scheme != schemeHTTPS {
		return http.ErrUseLastResponse
	}
	if req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme {
		req.Header.Del("Authorization")
	}
	return nil
}

// maxRedirects is net/http's own limit.
const maxRedirects = 10

// Get opens an object. The request makes caches on the way revalidate.
func (s *server) Get(ctx context.Context, key string) (io.ReadCloser, string, error) {
	resp, err := s.send(ctx, http.MethodGet, key, http.Header{
		"Accept-Encoding": {"identity"},
		"Cache-Control":   {"no-cache"},
	}, nil)
	if err != nil {
		return nil, "", err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		peeked := bufio.NewReader(resp.Body)
		// A short body gives an error and its bytes. Some servers call every file text/html.
		if beginning, _ := peeked.Peek(512); retry.IsPage("", beginning) {
			defer func() { _ = resp.Body.Close() }()
			resp.Body = io.NopCloser(peeked)
			return nil, "", retry.NewPageError(resp)
		}
		resp.Body = &peekedBody{peeked, resp.Body}
		tag := resp.Header.Get("ETag")
		if redirect.To(resp) != "" {
			tag = "" // it is the other server's
		}
		return resp.Body, tag, nil
	case http.StatusNotFound:
		_ = resp.Body.Close()
		return nil, "", ErrNotFound
	}
	return nil, "", refused(resp)
}

// peekedBody is a body whose beginning was looked at.
type peekedBody struct {
	io.Reader
	io.Closer
}

// Create writes a new object by the safest method that the server supports.
func (s *server) Create(ctx context.Context, key string, content Content) error {
	if err := s.learn(ctx); err != nil {
		return err
	}
	switch s.kind {
	case conditional:
		return s.settled(ctx, func() error {
			return s.put(ctx, key, content, http.Header{"If-None-Match": {"*"}})
		})
	case locking:
		return s.putAside(ctx, key, content, func(ctx context.Context, temp string) error {
			return s.move(ctx, temp, key, "F")
		})
	}
	return s.putTrusting(ctx, key, content, "")
}

// Replace overwrites an object in a known state by the safest method that the server supports.
func (s *server) Replace(ctx context.Context, key string, old State, content Content) error {
	if err := s.learn(ctx); err != nil {
		return err
	}
	switch {
	case s.kind == conditional && strong(old.Tag):
		return s.settled(ctx, func() error {
			return s.put(ctx, key, content, http.Header{"If-Match": {old.Tag}})
		})
	case s.kind == locking:
		return s.putAside(ctx, key, content, func(ctx context.Context, temp string) error {
			// nginx makes an ETag from a time in seconds and a size. Two releases can have
			// both in common, so the bytes are compared.
			if err := s.expect(ctx, key, old.SHA256); err != nil {
				return err
			}
			return s.move(ctx, temp, key, "T")
		})
	}
	return s.putTrusting(ctx, key, content, old.SHA256)
}

// strong reports whether an ETag can be used with If-Match.
//
// Reference: https://www.rfc-editor.org/rfc/rfc9110#name-if-match
func strong(tag string) bool { return strings.HasPrefix(tag, `"`) }

// putTrusting checks the object and then writes it; an empty sum stands for no object.
func (s *server) putTrusting(ctx context.Context, key string, content Content, sha256 string) error {
	return s.settled(ctx, func() error {
		if err := s.expect(ctx, key, sha256); err != nil {
			return err
		}
		return s.put(ctx, key, content, nil)
	})
}

// settled writes, and then waits until another writer that saw the same state has most likely
// written, too. Reading back after that shows who was last.
func (s *server) settled(ctx context.Context, write func() error) error {
	start := time.Now()
	if err := write(); err != nil {
		return err
	}
	return immutable.Settle(ctx, immutable.Settled(start))
}

// expect returns ErrPrecondition unless the object has the given sum; an empty sum
// stands for no object.
func (s *server) expect(ctx context.Context, key, sha256 string) error {
	sum, err := bucketSHA256(ctx, s, key)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	case sum != sha256:
		return ErrPrecondition
	}
	return nil
}

// askFirst is the size from which on the client sends the headers of a body first and waits
// for the server's consent. So a refusal arrives as an answer, and not as a broken connection.
const askFirst = 1 << 20

// put sends an object, and makes its folder where it has to exist first.
func (s *server) put(ctx context.Context, key string, content Content, header http.Header) error {
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", content.Type)
	header.Set("Cache-Control", content.CacheControl)
	if content.Size >= askFirst {
		header.Set("Expect", "100-continue")
	}
	for made := false; ; made = true {
		resp, err := s.send(ctx, http.MethodPut, key, header, &content)
		if err != nil {
			return err
		}
		switch status := resp.StatusCode; {
		case status == http.StatusOK || status == http.StatusCreated || status == http.StatusNoContent:
			_ = resp.Body.Close()
			return nil
		case status == http.StatusPreconditionFailed:
			_ = resp.Body.Close()
			return ErrPrecondition
		// https://www.rfc-editor.org/rfc/rfc4918#section-9.7.1; nginx says 404.
		case (status == http.StatusConflict || status == http.StatusNotFound) && !made:
			_ = resp.Body.Close()
			if err := s.makeFolders(ctx, path.Dir(key)); err != nil {
				return err
			}
		default:
			return refused(resp)
		}
	}
}

// makeFolders makes the missing folders on a path. The next PUT shows whether that worked; it
// also works if another writer was quicker.
func (s *server) makeFolders(ctx context.Context, folder string) error {
	for i, c := range folder + "/" {
		if c != '/' {
			continue
		}
		resp, err := s.send(ctx, "MKCOL", folder[:i]+"/", nil, nil)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
	}
	return nil
}

// send does one request. If a later try may get another answer, it returns an error.
func (s *server) send(ctx context.Context, method, key string, header http.Header, content *Content) (*http.Response, error) {
	var body io.Reader
	if content != nil {
		opened, err := content.Open()
		if err != nil {
			return nil, err
		}
		body = opened
	}
	req, err := http.NewRequestWithContext(ctx, method, s.base+"/"+key, body)
	if err != nil {
		return nil, err
	}
	if content != nil {
		req.ContentLength = content.Size
		req.GetBody = content.Open
	}
	for name, values := range header {
		req.Header[name] = values
	}
	s.authorize(req)
	return s.client.Do(req)
}

// probeKey is the object on which the server is tried out. Its content says so.
const probeKey = tempPrefix + "probe"

var probe = bytesContent([]byte("Slipway writes this file to find out whether the server honours If-None-Match and If-Match.\n"), "text/plain; charset=utf-8", cacheCheckNew)

// learn finds out how the server keeps two writers apart. It tries locks first, because
// servers that store files check a condition and write in two steps: of six PUTs with
// If-None-Match at once, Apache lets five through.
func (s *server) learn(ctx context.Context) error {
	if s.kind != unknown {
		return nil
	}
	kind, err := s.tryOut(ctx)
	if err != nil {
		return fmt.Errorf("try out the server: %w", err)
	}
	s.kind = kind
	if kind == trusting {
		s.warn("%s ignores If-None-Match and has no WebDAV locks: do not run two releases at the same moment, or let the server refuse to overwrite *.wasm and *.sha256", s.base)
	}
	return nil
}

func (s *server) tryOut(ctx context.Context) (serverKind, error) {
	// The first PUT makes the folder, and shows whether the client may write at all.
	honours, err := s.tryConditions(ctx)
	if err != nil {
		return unknown, err
	}
	held, _, err := s.lock(ctx)
	busy, answer := new(retry.StatusError), new(Refusal)
	switch {
	case err == nil:
		held.release()
		return locking, nil
	case errors.As(err, &busy) && busy.StatusCode == http.StatusLocked:
		return locking, nil
	case !errors.As(err, &answer):
		return unknown, err
	case honours:
		return conditional, nil
	}
	return trusting, nil
}

// tryConditions reports whether the server answers 412 to a PUT whose condition is false.
func (s *server) tryConditions(ctx context.Context) (bool, error) {
	err := s.put(ctx, probeKey, probe, http.Header{"If-None-Match": {"*"}})
	if err == nil {
		err = s.put(ctx, probeKey, probe, http.Header{"If-None-Match": {"*"}})
	}
	if answer := new(Refusal); errors.As(err, &answer) && errors.Is(s.expect(ctx, probeKey, ""), ErrPrecondition) {
		// It is there, and the server's own rules forbid overwriting it.
		return false, s.tryLists(ctx)
	}
	if err == nil {
		return false, nil
	}
	if !errors.Is(err, ErrPrecondition) {
		return false, err
	}
	err = s.put(ctx, probeKey, probe, http.Header{"If-Match": {`"slipway-no-such-tag"`}})
	if err != nil && !errors.Is(err, ErrPrecondition) {
		return false, err
	}
	return err != nil, nil
}

// listProbe has the name of a list, because servers that refuse to overwrite have exceptions by
// name.
const listProbe = tempPrefix + "lists/index.json"

// tryLists finds out whether a server that refuses to overwrite has an exception for lists.
func (s *server) tryLists(ctx context.Context) error {
	err := s.put(ctx, listProbe, probe, nil)
	if err == nil {
		err = s.put(ctx, listProbe, probe, nil)
	}
	if answer := new(Refusal); errors.As(err, &answer) && errors.Is(s.expect(ctx, listProbe, ""), ErrPrecondition) {
		s.fixedLists = fmt.Errorf("the server refuses to overwrite (%w), and %w: let it overwrite the paths **/index.json and **/SHA256SUMS below %s", err, ErrFixedLists, s.base)
		return nil
	}
	return err
}

// Refusal is a final answer of a storage: trying again would not change it.
type Refusal struct {
	Method string
	// URL is the address without query.
	URL string
	// StatusCode is the HTTP status.
	StatusCode int
	// Message is the start of the answer's body, on one line.
	Message string
	// Advice is what a person can do about it.
	Advice string

	kind error
}

// Unwrap returns ErrCredentials, ErrMoved or ErrPrivate, or nil if none of them fits.
func (r *Refusal) Unwrap() error { return r.kind }

func (r *Refusal) Error() string {
	text := (&retry.StatusError{Method: r.Method, URL: r.URL, StatusCode: r.StatusCode, Message: r.Message}).Error()
	if r.Advice != "" {
		text += "; " + r.Advice
	}
	return text
}

// writerAdvice returns what a writer can do about an answer, and the kind of the error.
func writerAdvice(method string, status int) (advice string, kind error) {
	switch status {
	case http.StatusUnauthorized:
		return "the server does not know who asks, or not by these credentials", ErrCredentials
	case http.StatusForbidden:
		return "these credentials may not do that: allow them to read and write below this address, or use others", nil
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return "the server does not take " + method + " here: allow it (nginx: dav_methods PUT DELETE MKCOL MOVE), or use another address", nil
	case http.StatusRequestEntityTooLarge:
		return "the server or a proxy before it limits uploads: raise its limit (nginx: client_max_body_size)", nil
	case http.StatusInsufficientStorage:
		return "the storage is full: make room, then run it again", nil
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return ErrMoved.Error() + ": use the address behind it", ErrMoved
	}
	return "", nil
}

// refused makes a Refusal from an answer and the start of its body.
func refused(resp *http.Response) *Refusal {
	defer func() { _ = resp.Body.Close() }()
	advice, kind := writerAdvice(resp.Request.Method, resp.StatusCode)
	return &Refusal{
		Method:     resp.Request.Method,
		URL:        redact.URL(resp.Request.URL),
		StatusCode: resp.StatusCode,
		Message:    retry.Reason(resp),
		Advice:     advice,
		kind:       kind,
	}
}
