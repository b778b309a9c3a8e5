package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/scenario"
	"github.com/slipway-wasm/slipway/deploy/scenario/server"
)

// call returns the status, the header x-token and the body of an answer, or "error".
func call(ctx context.Context, s *server.Server) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/a?b=c", s.Port()), strings.NewReader("hello"))
	if err != nil {
		return err.Error()
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "error"
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "error"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", res.StatusCode, res.Header.Get("x-token"), body))
}

// TestAnswers: answers are given in their order, and the server goes down and comes back at the
// same port.
func TestAnswers(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), "call ${call}"
	if err := os.WriteFile(filepath.Join(dir, "body.txt"), []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(scenario.Script{Answers: []scenario.Answer{
		{Headers: map[string]scenario.Values{"x-token": {"t-${call}"}}, Times: 2},
		{Status: 503, Body: scenario.Body{Text: &text}},
		{Body: scenario.Body{File: "body.txt"}},
		{Body: scenario.Body{Size: 3}},
		{Reset: true},
		{Down: true},
	}}, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	var got []string
	for range 6 {
		got = append(got, call(t.Context(), s))
	}
	if want := []string{"200 t-1", "200 t-2", "503  call 3", "200  from a file", "200  xxx", "error"}; !slices.Equal(got, want) {
		t.Errorf("answers are %q, want %q", got, want)
	}
	calls := s.Calls()
	if c := calls[1]; len(calls) != 6 || c.Method != http.MethodPost || c.Path != "/a?b=c" || string(c.Body) != "hello" || c.Answer.Get("x-token") != "t-2" || calls[5].Answer != nil {
		t.Errorf("it saw %+v", calls)
	}
	port := s.Port()
	for _, change := range []struct {
		answers []scenario.Answer
		want    string
	}{
		{[]scenario.Answer{{Status: 204}}, "204"},
		{[]scenario.Answer{{Down: true}}, "error"},
		{nil, "200"},
	} {
		if err := s.Set(scenario.Script{Answers: change.answers}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := envoytest.Until(ctx, func() error {
			if got := call(ctx, s); got != change.want || s.Port() != port {
				return fmt.Errorf("it answers %q at port %d, want %q at %d", got, s.Port(), change.want, port)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

// TestDown: a call that comes through while the server goes down is none that it saw: a filter
// gets no answer to it, and counts it as failed.
func TestDown(t *testing.T) {
	t.Parallel()
	s, err := server.Start(scenario.Script{Answers: []scenario.Answer{{Down: true}}}, "")
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // the value itself is thrown
				t.Errorf("the connection ends with %v", got)
			}
		}()
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	}()
	if calls := s.Calls(); len(calls) > 0 {
		t.Errorf("it saw %+v", calls)
	}
}

// TestSilent: a server that never answers can be changed and closed.
func TestSilent(t *testing.T) {
	t.Parallel()
	s, err := server.Start(scenario.Script{Answers: []scenario.Answer{{Silent: true}}}, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got := call(ctx, s); got != "error" || ctx.Err() == nil {
		t.Errorf("it answers %q", got)
	}
	if err := errors.Join(s.Set(scenario.Script{Answers: []scenario.Answer{{Down: true}}}), s.Close()); err != nil {
		t.Error(err)
	}
}
