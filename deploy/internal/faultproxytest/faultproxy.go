// Package faultproxytest puts a faulty proxy in front of a real server, for tests.
//
// Registries, stores and the proxies before them fail in ways that a test cannot ask for. Here
// the server stays the real one, and each Fault is named after what goes wrong between it and
// the client.
package faultproxytest

import (
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Rule applies a fault to some requests.
type Rule struct {
	// Match is a regular expression for the method, a space and the path, for
	// example "^PUT .*/manifests/". Empty matches all.
	Match string
	// Times is how many requests the fault hits. Default: all.
	Times int
	// Fault handles these requests.
	Fault Fault
}

// Fault answers a request instead of next, or passes it to next and changes what happens.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Proxy is a running proxy.
type Proxy struct {
	// Addr is its host and port.
	Addr string

	mu       sync.Mutex
	requests []string
}

// Start runs a proxy before the server at target, a host and port, until the test ends. For
// each request the first rule applies that matches and is not used up.
func Start(t testing.TB, target string, rules ...Rule) *Proxy {
	t.Helper()
	backend := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target})
	backend.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	type state struct {
		Rule
		match *regexp.Regexp
		hits  int
	}
	states := make([]*state, len(rules))
	for i, rule := range rules {
		states[i] = &state{Rule: rule, match: regexp.MustCompile(rule.Match)}
	}
	p := &Proxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + r.URL.Path
		fault := func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }
		p.mu.Lock()
		p.requests = append(p.requests, request)
		for _, s := range states {
			if s.match.MatchString(request) && (s.Times == 0 || s.hits < s.Times) {
				s.hits++
				fault = s.Fault
				break
			}
		}
		p.mu.Unlock()
		// The backend sees the proxy's own address as the host. So the locations in its
		// answers lead back to the proxy.
		fault(w, r, backend)
	}))
	t.Cleanup(server.Close)
	p.Addr = server.Listener.Addr().String()
	return p
}

// Requests returns the requests so far that match a regular expression, which has the form of
// Rule.Match.
func (p *Proxy) Requests(match string) []string {
	expression := regexp.MustCompile(match)
	p.mu.Lock()
	defer p.mu.Unlock()
	var matching []string
	for _, request := range p.requests {
		if expression.MatchString(request) {
			matching = append(matching, request)
		}
	}
	return matching
}

// Forget forgets the requests so far.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
}

// Status answers with a status and headers, given as alternating names and values. It does not
// read the request's body, like a proxy with a size limit.
func Status(code int, headers ...string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"errors":[{"code":"FAULT","message":"injected %d"}]}`, code)
	}
}

// Reset resets the connection before any answer.
func Reset(w http.ResponseWriter, _ *http.Request, _ http.Handler) { reset(w) }

// ResetAfterWork lets the server do its work, and resets the connection before the client gets
// the answer.
func ResetAfterWork(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	reset(w)
}

// ResetInRequest resets the connection in the middle of the request's body.
func ResetInRequest(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	reset(w)
}

func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Truncate closes the connection in the middle of the answer's body.
func Truncate(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := record(w, r, next)
	_, _ = w.Write(answer[:len(answer)/2])
	panic(http.ErrAbortHandler)
}

// Shorten drops the second half of the answer's body and adjusts its length: a server that
// lies consistently.
func Shorten(w http.ResponseWriter, r *http.Request, next http.Handler) {
	recorder := httptest.NewRecorder()
	next.ServeHTTP(recorder, r)
	half := recorder.Body.Bytes()[:recorder.Body.Len()/2]
	copyHeader(w, recorder)
	w.Header().Set("Content-Length", strconv.Itoa(len(half)))
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(half)
}

// Corrupt flips a bit in the middle of the answer's body.
func Corrupt(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := record(w, r, next)
	if len(answer) > 0 {
		answer[len(answer)/2] ^= 1
	}
	_, _ = w.Write(answer)
}

// WrongHeader replaces a header of the answer.
func WrongHeader(name, value string) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		recorder := httptest.NewRecorder()
		next.ServeHTTP(recorder, r)
		copyHeader(w, recorder)
		w.Header().Set(name, value)
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(recorder.Body.Bytes())
	}
}

// WithoutHeader leaves a header out of the answer.
func WithoutHeader(name string) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		recorder := httptest.NewRecorder()
		next.ServeHTTP(recorder, r)
		copyHeader(w, recorder)
		w.Header().Del(name)
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(recorder.Body.Bytes())
	}
}

// JSON answers with a status and a body.
func JSON(code int, body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

// LoginPage answers with a page for people, and 200: a gateway that wants somebody to log in.
func LoginPage(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, "<!DOCTYPE html><html><head><title>Sign in to\n Acme</title><style>p { color: red }</style></head><body><p>Who are you?</p></body></html>")
}

// ErrorPage answers with a status and a page for people that says the reason below a long
// style sheet.
func ErrorPage(code int, reason string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(code)
		fmt.Fprintf(w, "<html><head><title>Error</title><style>%s</style></head><body><h1>%s</h1></body></html>", strings.Repeat("p { color: red } ", 200), html.EscapeString(reason))
	}
}

// Chunked leaves out the length of the answer.
func Chunked(w http.ResponseWriter, r *http.Request, next http.Handler) {
	recorder := httptest.NewRecorder()
	next.ServeHTTP(recorder, r)
	copyHeader(w, recorder)
	w.Header().Del("Content-Length")
	w.WriteHeader(recorder.Code)
	_ = http.NewResponseController(w).Flush()
	_, _ = w.Write(recorder.Body.Bytes())
}

// EmptyIndex answers that nothing refers to a manifest: a registry whose list of referrers is
// late, or never filled.
func EmptyIndex(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	fmt.Fprint(w, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
}

// DigestTags resolves a tag "sha256-HEX" as the manifest with that digest, as GitLab does, and
// does not keep what is put there.
func DigestTags(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method == http.MethodPut {
		w.WriteHeader(http.StatusCreated)
		return
	}
	r.URL.Path = strings.Replace(r.URL.Path, "/manifests/sha256-", "/manifests/sha256:", 1)
	next.ServeHTTP(w, r)
}

// ImmutableTags refuses to put anything under a tag that exists, with a status and a message.
func ImmutableTags(code int, message string) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		look := r.Clone(r.Context())
		look.Method, look.Body, look.ContentLength = http.MethodHead, http.NoBody, 0
		looked := httptest.NewRecorder()
		next.ServeHTTP(looked, look)
		if looked.Code == http.StatusNotFound {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":%q}]}`, message)
	}
}

// Challenges asks for a name and a password that come by Basic, and offers the given values of
// WWW-Authenticate.
func Challenges(name, password string, offers ...string) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n, p, ok := r.BasicAuth(); ok && n == name && p == password {
			next.ServeHTTP(w, r)
			return
		}
		for _, offer := range offers {
			w.Header().Add("WWW-Authenticate", offer)
		}
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// Tokens wants a bearer token, which it gives to everybody, and each of which serves a number
// of requests.
func Tokens(uses int) Fault {
	var mu sync.Mutex
	left := map[string]int{}
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		if r.URL.Path == "/token" {
			token := fmt.Sprintf("token-%d", len(left))
			left["Bearer "+token] = uses
			fmt.Fprintf(w, `{"token":%q}`, token)
			mu.Unlock()
			return
		}
		valid := left[r.Header.Get("Authorization")] > 0
		if valid {
			left[r.Header.Get("Authorization")]--
		}
		mu.Unlock()
		if valid {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// Endless continues after the answer's body until the client hangs up.
func Endless(w http.ResponseWriter, r *http.Request, next http.Handler) {
	recorder := httptest.NewRecorder()
	next.ServeHTTP(recorder, r)
	copyHeader(w, recorder)
	w.Header().Del("Content-Length")
	w.WriteHeader(recorder.Code)
	data := recorder.Body.Bytes()
	for r.Context().Err() == nil {
		if _, err := w.Write(data); err != nil {
			return
		}
		data = make([]byte, 1<<16)
	}
}

// Hang sends the first half of the answer's body and then nothing until the client
// hangs up.
func Hang(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := record(w, r, next)
	_, _ = w.Write(answer[:len(answer)/2])
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// record lets the server answer, passes on the status and the header, and returns the body.
func record(w http.ResponseWriter, r *http.Request, next http.Handler) []byte {
	recorder := httptest.NewRecorder()
	next.ServeHTTP(recorder, r)
	copyHeader(w, recorder)
	w.WriteHeader(recorder.Code)
	return recorder.Body.Bytes()
}

func copyHeader(w http.ResponseWriter, recorder *httptest.ResponseRecorder) {
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
}
