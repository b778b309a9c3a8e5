package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"time"

	"github.com/slipway-wasm/slipway/deploy/internal/retry"
)

// lockKey is the resource that all uploads to one server lock. Its content does not matter:
// the upload that holds the lock may look and move.
const lockKey = tempPrefix + "lock"

// lockInfo asks for an exclusive write lock.
//
// Reference: https://www.rfc-editor.org/rfc/rfc4918#section-9.10
const lockInfo = `<?xml version="1.0" encoding="utf-8"?>` +
	`<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>` +
	`<D:owner>slipway</D:owner></D:lockinfo>`

// lockSeconds is how long a lock should last. It is held for a few small requests; after a
// crash the next upload waits until it ends.
const lockSeconds = 20

// lockWait is how long to wait before trying again to get a lock that another upload holds.
const lockWait = 250 * time.Millisecond

// putAside sends an object under a temporary name. Then it calls place, which moves the object
// to its key, and holds the lock meanwhile.
//
// If a lock is not given back, as after a crash, the server ends it. place never moves an object
// after the lock ended: see davLock.keep.
func (s *server) putAside(ctx context.Context, key string, content Content, place func(ctx context.Context, temp string) error) error {
	temp := path.Join(path.Dir(key), tempPrefix+rand.Text())
	if err := s.put(ctx, temp, content, nil); err != nil {
		return err
	}
	err := s.locked(ctx, func(ctx context.Context) error { return place(ctx, temp) })
	if err != nil {
		// Best effort: nothing refers to a file that stays behind.
		if resp, err := s.send(context.WithoutCancel(ctx), http.MethodDelete, temp, nil, nil); err == nil {
			_ = resp.Body.Close()
		}
	}
	return err
}

func (s *server) locked(ctx context.Context, do func(context.Context) error) error {
	var held *davLock
	var timeout time.Duration
	err := s.retry.Do(ctx, func() (err error) {
		held, timeout, err = s.lock(ctx)
		return err
	})
	if err != nil {
		return err
	}
	defer held.release()
	ctx, stop := held.keep(ctx, timeout)
	defer stop()
	return do(ctx)
}

// davLock is a lock that is held.
type davLock struct {
	*server
	token string
}

// release gives the lock back. If that fails, the server ends it.
func (l *davLock) release() {
	resp, err := l.send(context.Background(), "UNLOCK", lockKey, http.Header{"Lock-Token": {l.token}}, nil)
	if err == nil {
		_ = resp.Body.Close()
	}
}

// keep prolongs the lock until stop is called: a server may need minutes to move or to give
// back a module. If it does not prolong it, the context ends at half of the time that is left,
// so that nothing is moved after the lock ended.
//
// Reference: https://www.rfc-editor.org/rfc/rfc4918#section-9.10.2
func (l *davLock) keep(ctx context.Context, timeout time.Duration) (kept context.Context, stop func()) {
	kept, cancel := context.WithCancelCause(ctx)
	end := time.AfterFunc(timeout/2, func() { cancel(errLockEnds) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(max(timeout/5, time.Millisecond))
		defer ticker.Stop()
		for {
			select {
			case <-kept.Done():
				return
			case <-ticker.C:
			}
			if l.refresh(kept) && end.Stop() {
				end.Reset(timeout / 2)
			}
		}
	}()
	return kept, func() {
		cancel(nil)
		<-done
		end.Stop()
	}
}

var errLockEnds = errors.New("the server's lock ends too early, and the server does not prolong it; run it again")

// refresh reports whether the server prolonged the lock.
func (l *davLock) refresh(ctx context.Context) bool {
	resp, err := l.send(ctx, "LOCK", lockKey, http.Header{"If": {"(" + l.token + ")"}, "Timeout": {fmt.Sprintf("Second-%d", lockSeconds)}}, nil)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// lock takes the lock. If another upload holds it, the error is a StatusError with status 423
// and the time to wait. timeout is the time after which the server ends the lock.
func (s *server) lock(ctx context.Context) (held *davLock, timeout time.Duration, err error) {
	info := bytesContent([]byte(lockInfo), "application/xml", "")
	asked := http.Header{"Depth": {"0"}, "Timeout": {fmt.Sprintf("Second-%d", lockSeconds)}, "Content-Type": {info.Type}}
	resp, err := s.send(ctx, "LOCK", lockKey, asked, &info)
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode == http.StatusLocked {
		_ = resp.Body.Close()
		return nil, 0, &retry.StatusError{
			Method:     "LOCK",
			URL:        s.base + "/" + lockKey,
			StatusCode: resp.StatusCode,
			RetryAfter: lockWait,
			Message:    "another upload is under way",
		}
	}
	token := resp.Header.Get("Lock-Token")
	if (resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated) || token == "" {
		return nil, 0, refused(resp)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
	if err != nil {
		return nil, 0, err
	}
	return &davLock{s, token}, lockTimeout(answer), nil
}

var grantedSeconds = regexp.MustCompile(`Second-([0-9]{1,6})`)

// lockTimeout reads the time after which the server ends a lock. If the answer has none, it is
// the time that was asked for.
func lockTimeout(answer []byte) time.Duration {
	seconds := lockSeconds
	if found := grantedSeconds.FindSubmatch(answer); found != nil {
		seconds, _ = strconv.Atoi(string(found[1])) // digits
	}
	return time.Duration(min(seconds, lockSeconds)) * time.Second
}

// move renames an object. With overwrite "F" it returns ErrPrecondition if the name is taken.
//
// Reference: https://www.rfc-editor.org/rfc/rfc4918#section-9.9
func (s *server) move(ctx context.Context, from, to, overwrite string) error {
	u, err := url.Parse(s.base + "/" + to)
	if err != nil {
		return err
	}
	rename := func(destination string) (*http.Response, error) {
		return s.send(ctx, "MOVE", from, http.Header{"Destination": {destination}, "Overwrite": {overwrite}}, nil)
	}
	resp, err := rename(u.String())
	if err == nil && resp.StatusCode == http.StatusBadRequest {
		// Behind a proxy that ends TLS, nginx does not know its own scheme, and takes only a
		// path. Apache takes only a full URL.
		_ = resp.Body.Close()
		resp, err = rename(u.EscapedPath())
	}
	if err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusCreated, http.StatusNoContent:
		_ = resp.Body.Close()
		return nil
	case http.StatusPreconditionFailed:
		_ = resp.Body.Close()
		return ErrPrecondition
	}
	return refused(resp)
}
