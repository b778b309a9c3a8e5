package authservice_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy/authservice"
)

func TestService(t *testing.T) {
	t.Parallel()
	s, err := authservice.Start(authservice.Answering)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	port := s.Port()
	for i, step := range []struct {
		mode    authservice.Mode
		status  int // 0: no answer
		token   string
		fetches int
	}{
		{authservice.Answering, 200, "Bearer token-1", 1},
		{authservice.Answering, 200, "Bearer token-2", 2},
		{authservice.Garbage, 200, "", 3},
		{authservice.Failing, 500, "token of a failed request", 4},
		{authservice.Down, 0, "", 4},
		{authservice.Down, 0, "", 4},
		{authservice.Answering, 200, "Bearer token-5", 5},
		{authservice.Slow, 200, "Bearer token-6", 6},
	} {
		if err := s.Set(step.mode); err != nil {
			t.Fatal(err)
		}
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/auth", port))
		switch {
		case step.status == 0:
			if err == nil {
				t.Errorf("step %d: got %s, want no answer", i, res.Status)
			}
		case err != nil:
			t.Errorf("step %d: %v", i, err)
		case res.StatusCode != step.status || res.Header.Get("Authorization") != step.token:
			t.Errorf("step %d: got %s with token %q, want %d with %q", i, res.Status, res.Header.Get("Authorization"), step.status, step.token)
		}
		if err == nil {
			res.Body.Close()
		}
		if got := len(s.Fetches()); got != step.fetches {
			t.Errorf("step %d: %d fetches, want %d", i, got, step.fetches)
		}
	}
}

// A silent service has received the request and leaves it open.
func TestServiceSilent(t *testing.T) {
	t.Parallel()
	s, err := authservice.Start(authservice.Silent)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/auth", s.Port())); err == nil {
			t.Errorf("got %s, want no answer", res.Status)
			res.Body.Close()
		}
	}()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for len(s.Fetches()) == 0 {
		select {
		case <-answered:
			t.Fatal("answered before it was closed")
		case <-ticker.C:
		}
	}
	if err := s.Set(authservice.Down); err != nil {
		t.Fatal(err)
	}
	<-answered
}
