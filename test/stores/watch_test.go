package stores

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"
)

// watch looks at one version of a filter without credentials, over and over, until the
// returned function is called. Wherever a checksum is, the module that it vouches for
// must be complete. What SHA256SUMS names must be there, too. What a kill or a rival
// leaves behind stays until the next upload. So a look every few milliseconds sees it,
// and leaves the processors to the uploads.
func (s store) watch(t *testing.T, filter, version string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	module := filter + "/" + version + "/" + filter + ".wasm"
	running.Go(func() {
		looks := 0
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			for _, list := range []string{module + ".sha256", version + "/SHA256SUMS"} {
				status, _, sum, err := fetch(ctx, s.public()+"/"+list)
				if err != nil || status != http.StatusOK {
					continue // not there yet, or the end of the test
				}
				want := sumOf(string(sum), filter+".wasm")
				if want == "" {
					continue // SHA256SUMS has other filters so far
				}
				status, _, body, err := fetch(ctx, s.public()+"/"+module)
				if err != nil {
					continue
				}
				got := sha256.Sum256(body)
				if status != http.StatusOK || hex.EncodeToString(got[:]) != want {
					t.Errorf("%s stands beside a module with status %d and %d bytes, sha256 %x: %q", list, status, len(body), got, sum)
					return
				}
				looks++
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
		t.Logf("looked %d times at a checksum and its module", looks)
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// sumOf returns the sum of a file in a checksum file; empty if the file is not in it.
func sumOf(sums, file string) string {
	for line := range strings.Lines(sums) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if path.Base(name) == file {
			return sum
		}
	}
	return ""
}
