package storage

import (
	"context"
	"crypto/rand"
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
// If a lock is not given back, as after a crash, the server ends it. place gets half of the
// time until then, so that it never moves an object after the lock ended.
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
	var unlock func()
	var timeout time.Duration
	err := s.retry.Do(ctx, func() (err error) {
		unlock, timeout, err = s.lock(ctx)
		return err
	})
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, timeout/2)
	defer cancel()
	return do(ctx)
}

// lock takes the lock. If another upload holds it, the error is a StatusError with status 423
// and the time to wait. timeout is the time after which the server ends the lock.
func (s *server) lock(ctx context.Context) (unlock func(), timeout time.Duration, err error) {
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
	unlock = func() {
		resp, err := s.send(context.WithoutCancel(ctx), "UNLOCK", lockKey, http.Header{"Lock-Token": {token}}, nil)
		if err == nil { // otherwise the server ends it
			_ = resp.Body.Close()
		}
	}
	return unlock, lockTimeout(answer), nil
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
