package envoy

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestPID(t *testing.T) {
	t.Parallel()
	bin := realEnvoy(t)
	// Two proxies: PID must tell one from the other.
	var proxies []*Proxy
	pids := map[int]bool{}
	for range 2 {
		proxy, err := Start(t.Context(), StartOptions{Path: bin.Path, Config: config(t, 1), Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer proxy.Stop() //nolint:errcheck // stopped below, unless the test ended
		pid, err := proxy.PID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pids[pid] = true
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && !strings.Contains(string(line), proxy.dir) {
			t.Errorf("process %d is another one: %q", pid, line)
		}
		proxies = append(proxies, proxy)
	}
	if len(pids) != 2 {
		t.Errorf("two Envoys have the ids %v", pids)
	}
	if err := proxies[0].Stop(); err != nil {
		t.Fatal(err)
	}
	if pid, err := proxies[0].PID(t.Context()); err == nil {
		t.Errorf("an Envoy that was stopped has the id %d", pid)
	}
}
