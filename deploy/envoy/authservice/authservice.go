// Package authservice is a small auth service on loopback. It returns a new token for each
// request, and can be told to fail in the ways that a filter which fetches tokens must
// survive.
package authservice

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Mode is how the service behaves.
type Mode int

const (
	// Answering returns a token in the header authorization, with status 200.
	Answering Mode = iota
	// Slow does the same after 300 ms, so that the requests of callers who do not wait for
	// each other overlap.
	Slow
	// Garbage answers 200 with meaningless bytes, and without a token.
	Garbage
	// Failing answers 500, with a header that looks like a token.
	Failing
	// Silent accepts requests and never answers.
	Silent
	// Down closes the open connections and refuses new ones.
	Down
)

const slowness = 300 * time.Millisecond

// Fetch is one request that reached the service.
type Fetch struct {
	Time               time.Time
	Method, Host, Path string
	Header             http.Header
	// Token is the token in the answer; empty if there was none.
	Token string
}

// Service is an auth service. It is safe for concurrent use.
type Service struct {
	mu      sync.Mutex
	port    int // 0 until it has listened for the first time
	server  *http.Server
	mode    Mode
	fetches []Fetch
}

// Start starts a service on a free port of 127.0.0.1 that behaves as mode says.
func Start(mode Mode) (*Service, error) {
	s := &Service{}
	if err := s.Set(Answering); err != nil { // this finds the port, even for a service that is down
		return nil, err
	}
	return s, s.Set(mode)
}

// Port returns the port of the service, even while it is down.
func (s *Service) Port() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

// Fetches returns the requests so far, oldest first.
func (s *Service) Fetches() []Fetch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fetches)
}

// Set changes how the service behaves from now on. The port stays the same. Set waits for
// answers under way, so that every token in [Service.Fetches] was really sent.
func (s *Service) Set(mode Mode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.mode
	s.mode = mode
	switch {
	case mode == Down && s.server != nil:
		server := s.server
		s.server = nil
		if before == Silent { // whose answers are never finished
			return server.Close()
		}
		s.mu.Unlock() // handlers want it
		defer s.mu.Lock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return errors.Join(ignoreDeadline(server.Shutdown(ctx)), server.Close())
	case mode != Down && s.server == nil:
		return s.listen()
	}
	return nil
}

// ignoreDeadline ignores that the time to shut down ran out: connections that were opened and
// never used prevent it. Close cuts them.
func ignoreDeadline(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// Close stops the service.
func (s *Service) Close() error { return s.Set(Down) }

// listen is called with mu held.
func (s *Service) listen() error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		return fmt.Errorf("start auth service: %w", err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func(server *http.Server) {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // there is nobody to return the error to, and no test must go on
		}
	}(s.server)
	return nil
}

// ServeHTTP answers any request as the mode says.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mode, token := s.record(r)
	switch mode {
	case Answering, Slow:
		if mode == Slow {
			time.Sleep(slowness)
		}
		w.Header().Set("Authorization", token)
		fmt.Fprintln(w, "the token is in the header")
	case Failing:
		w.Header().Set("Authorization", "token of a failed request")
		http.Error(w, "no tokens today", http.StatusInternalServerError)
	case Silent:
		<-r.Context().Done()
	case Down: // came in while the listener was being closed
		panic(http.ErrAbortHandler)
	case Garbage:
		w.Write([]byte("\x00\xff{]\r\n\r\nauthorization: none\r\n")) //nolint:errcheck // the client notices
	}
}

func (s *Service) record(r *http.Request) (Mode, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fetch := Fetch{Time: time.Now(), Method: r.Method, Host: r.Host, Path: r.URL.Path, Header: r.Header}
	if s.mode == Answering || s.mode == Slow {
		fetch.Token = fmt.Sprintf("Bearer token-%d", len(s.fetches)+1)
	}
	s.fetches = append(s.fetches, fetch)
	return s.mode, fetch.Token
}
