package stores

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestRival holds an upload at each request that changes something. Meanwhile another
// upload runs from its beginning to its end.
func TestRival(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store) {
		if s.upstream == "" || s.trusting || s.slowLocks {
			return // a folder has no requests, and a lock of Apache's lasts too long for many
		}
		k, proxied := newKiller(t, s)
		k.arm(0, never, nil)
		proxied.mustUpload(t, release("1.0.0", module(t, "headers", 1000, 0)))
		k.arm(0, never, nil)
		proxied.mustUpload(t, release("1.0.1", module(t, "headers", 1000, 1)))
		writes, requests := k.writes, k.requests
		for at := 1; at <= writes; at++ {
			if strings.Contains(requests[at-1], "probe") || strings.HasPrefix(requests[at-1], "UNLOCK") {
				continue
			}
			if strings.HasSuffix(requests[at-1], underLock) {
				continue // the lock is prolonged while its holder works, so the rival waits
			}
			what := fmt.Sprintf("held at %s", requests[at-1])

			// Another version: index.json lists both.
			ours, theirs := fmt.Sprintf("2.%d.0", at), fmt.Sprintf("3.%d.0", at)
			k.arm(at, held, func() { s.mustUpload(t, release(theirs, module(t, "headers", 1000, uint64(at)))) })
			if _, err := proxied.upload(t, release(ours, module(t, "headers", 1000, uint64(at)+500))); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if index := s.index(t, "headers"); index.Find(ours) == nil || index.Find(theirs) == nil {
				t.Errorf("%s: index.json lacks %s or %s", what, ours, theirs)
			}

			// The same version with other bytes: one of the two wins, and its
			// checksum is beside its module.
			version := fmt.Sprintf("4.%d.0", at)
			stop := s.watch(t, "headers", version)
			var theirError error
			k.arm(at, held, func() {
				_, theirError = s.upload(t, release(version, module(t, "headers", 1000, uint64(at)+1000)))
			})
			_, ourError := proxied.upload(t, release(version, module(t, "headers", 1000, uint64(at)+1500)))
			stop()
			if (ourError == nil) == (theirError == nil) {
				t.Errorf("%s: our error is %v, theirs is %v", what, ourError, theirError)
			}
			if status, _, sum := s.get(t, "headers/"+version+"/headers.wasm.sha256"); status == http.StatusOK {
				s.complete(t, version, sumOf(string(sum), "headers.wasm"))
			}
		}
	})
}
