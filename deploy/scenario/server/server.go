// Package server has the servers of a scenario, on loopback: the services that filters call,
// and the upstream behind the proxy. They record what they see.
package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slipway-wasm/slipway/deploy/scenario"
)

// Call is one request that reached a server.
type Call struct {
	// Time is when it came.
	Time time.Time
	// Method, Path and Authority are the request's. Path has the query.
	Method, Path, Authority string
	// Header are its headers.
	Header http.Header
	// Body is its body or, if the client hung up, what came of it.
	Body []byte
	// Answer are the headers of the scripted answer; nil if there was none.
	Answer http.Header
}

// Server is one server. It is safe for concurrent use.
type Server struct {
	dir     string
	handler http.Handler // nil if scripted

	changing sync.Mutex // held while the script changes

	mu       sync.Mutex
	port     int // 0 until it has listened for the first time
	server   *http.Server
	answers  []scenario.Answer
	answered int64 // calls that got answers[0]
	calls    []Call
}

// Start starts a server on a free port of 127.0.0.1 that answers as a script says. Bodies from
// files are relative to dir.
func Start(script scenario.Script, dir string) (*Server, error) {
	s := &Server{dir: dir}
	if err := s.listen(); err != nil { // this finds the port, even for a server that is down
		return nil, err
	}
	return s, s.Set(script)
}

// Record starts a server that lets handler answer.
func Record(handler http.Handler) (*Server, error) {
	s := &Server{handler: handler}
	return s, s.listen()
}

// Port returns the port of the server, even while it is down.
func (s *Server) Port() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

// Calls returns the calls so far, oldest first.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Set changes how the server answers from now on. The port stays the same. Set waits for
// answers under way, so that each Answer in Calls was really sent.
func (s *Server) Set(script scenario.Script) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	s.answers, s.answered = script.Answers, 0
	if len(s.answers) == 0 {
		s.answers = []scenario.Answer{{}}
	}
	down, running := s.answers[0].Down, s.server != nil
	s.mu.Unlock()
	switch {
	case down && running:
		return s.stop()
	case !down && !running:
		return s.listen()
	}
	return nil
}

// Close stops the server.
func (s *Server) Close() error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.stop()
}

// grace is how long answers under way may take when the server goes down.
const grace = time.Second

// stop closes the port and all connections.
func (s *Server) stop() error {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // of connections that were opened and never used, and of silent answers
	}
	return errors.Join(err, server.Close())
}

func (s *Server) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(s.port))
	if err != nil {
		return fmt.Errorf("start a server of a scenario: %w", err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(listener) //nolint:errcheck // ends with Close
	return nil
}

// ServeHTTP records a call and answers it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := Call{Time: time.Now(), Method: r.Method, Path: r.RequestURI, Authority: r.Host, Header: r.Header}
	if strings.HasPrefix(r.RequestURI, "http") {
		c.Path = r.URL.RequestURI()
	}
	c.Body, _ = io.ReadAll(r.Body) // a client that hangs up has sent a part
	r.Body = io.NopCloser(bytes.NewReader(c.Body))
	if s.handler != nil {
		s.record(c)
		s.handler.ServeHTTP(w, r)
		return
	}
	answer, number := s.next(c)
	if number == 0 {
		panic(http.ErrAbortHandler)
	}
	if answer.Delay > 0 {
		select {
		case <-time.After(time.Duration(answer.Delay)):
		case <-r.Context().Done():
		}
	}
	switch {
	case answer.Silent:
		<-r.Context().Done()
		return
	case answer.Reset:
		panic(http.ErrAbortHandler)
	}
	body, err := Body(answer.Body, s.dir)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	expand := func(text string) string {
		expanded, _ := scenario.Expand(text, func(string) (string, error) { return strconv.Itoa(number), nil })
		return expanded
	}
	for name, values := range answer.Headers {
		for _, value := range values {
			w.Header().Add(name, expand(value))
		}
	}
	s.mu.Lock()
	s.calls[number-1].Answer = w.Header().Clone()
	s.mu.Unlock()
	w.WriteHeader(max(int(answer.Status), http.StatusOK))
	if answer.Body.Text != nil {
		body = []byte(expand(*answer.Body.Text))
	}
	_, _ = w.Write(body) // the client may be gone
}

func (s *Server) record(c Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
}

// next records a call and returns the answer to it, and its number. A call that comes through
// while the server goes down is not recorded, as if it had come later: its number is 0.
func (s *Server) next(c Call) (scenario.Answer, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := s.answers[0]
	if answer.Down {
		return answer, 0
	}
	s.calls = append(s.calls, c)
	s.answered++
	if len(s.answers) > 1 && s.answered >= max(answer.Times, 1) {
		s.answers, s.answered = s.answers[1:], 0
		if s.answers[0].Down {
			go s.goDown()
		}
	}
	return answer, len(s.calls)
}

// goDown stops the server, unless it has been told to answer again.
func (s *Server) goDown() {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	down := s.answers[0].Down
	s.mu.Unlock()
	if down {
		_ = s.stop() // nobody waits for it
	}
}

// Body returns the content of a body, of which files are relative to dir.
func Body(b scenario.Body, dir string) ([]byte, error) {
	switch {
	case b.Text != nil:
		return []byte(*b.Text), nil
	case b.File != "":
		return os.ReadFile(filepath.Join(dir, b.File))
	}
	return bytes.Repeat([]byte("x"), int(b.Size)), nil
}
