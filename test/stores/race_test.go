package stores

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// TestOneOfTwoWins uploads one version twice at once, with different bytes.
func TestOneOfTwoWins(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store) {
		for round := range uint64(4) {
			version := fmt.Sprintf("1.0.%d", round)
			same := module(t, "authtoken", 700, round)
			contenders := []storage.UploadOptions{
				release(version, same, module(t, "headers", 300_000, 2*round), module(t, "requestlog", 500, 2*round)),
				release(version, same, module(t, "headers", 300_000, 2*round+1), module(t, "requestlog", 500, 2*round+1)),
			}
			stop := func() {}
			if !s.trusting {
				stop = s.watch(t, "headers", version)
			}
			reversed := contenders[1]
			reversed.Modules = slices.Clone(reversed.Modules)
			slices.Reverse(reversed.Modules) // what comes first must not depend on it
			processes := []*process{
				begin(t, s.options, s.environment, contenders[0]),
				begin(t, s.options, s.environment, reversed),
			}
			var winners []int
			var refusal error
			for i, p := range processes {
				if _, err := p.wait(t); err == nil {
					winners = append(winners, i)
				} else {
					refusal = err
				}
			}
			stop()
			if s.trusting && len(winners) == 0 {
				continue // both uploads failed, so neither is misled
			}
			if len(winners) != 1 {
				t.Fatalf("round %d: %d of two uploads succeeded; the last error is %v", round, len(winners), refusal)
			}
			won, lost := contenders[winners[0]].Modules, contenders[1-winners[0]].Modules
			// The loser meets headers or, if it looked there too early, requestlog.
			if !namesBoth(refusal, won[1], lost[1]) && !namesBoth(refusal, won[2], lost[2]) {
				t.Errorf("the loser's error does not name both sums: %v", refusal)
			}
			for _, m := range won {
				key := m.Name + "/" + version + "/" + m.Name + ".wasm"
				dir := s.download(t, key, key+".sha256")
				sha256sum(t, dir+"/"+m.Name+"/"+version, m.Name+".wasm.sha256")
				if status, _, sum := s.get(t, key+".sha256"); status != http.StatusOK || !bytes.HasPrefix(sum, []byte(m.WasmSHA256)) {
					t.Errorf("%s is not the winner's: %d %s", key, status, sum)
				}
			}
			if entry := s.index(t, "headers").Find(version); entry == nil || entry.WasmSHA256 != won[1].WasmSHA256 {
				t.Errorf("index.json: %+v", entry)
			}
		}
	})
}

func namesBoth(err error, a, b build.Module) bool {
	return strings.Contains(err.Error(), a.WasmSHA256) && strings.Contains(err.Error(), b.WasmSHA256)
}

// TestConcurrentReleases uploads several versions and several filters of one version
// at once: index.json and SHA256SUMS have them all.
func TestConcurrentReleases(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store) {
		const releases = 4
		names := []string{"authtoken", "headers", "requestlog", "waf"}
		var processes []*process
		for i := range releases {
			processes = append(processes,
				begin(t, s.options, s.environment, release(fmt.Sprintf("1.%d.0", i), module(t, "headers", 1000, uint64(i)))),
				begin(t, s.options, s.environment, release("2.0.0", module(t, names[i], 1000, 9))))
		}
		for _, p := range processes {
			if _, err := p.wait(t); err != nil {
				t.Error(err)
			}
		}
		if index := s.index(t, "headers"); len(index.Versions) != releases+1 {
			t.Errorf("index.json: %+v", index)
		}
		if _, _, sums := s.get(t, "2.0.0/SHA256SUMS"); bytes.Count(sums, []byte("\n")) != releases {
			t.Errorf("SHA256SUMS:\n%s", sums)
		}
	})
}
