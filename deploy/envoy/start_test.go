package envoy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/envoyconf"
)

// config is a proxy without filters in front of a port on loopback.
func config(t testing.TB, port int) []byte {
	t.Helper()
	out, err := envoyconf.Render(envoyconf.BuildOptions{Upstream: envoyconf.Address{Port: port}, Listeners: []envoyconf.Listener{{AccessLog: true}}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStart(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer upstream.Close()
	u, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := Start(t.Context(), StartOptions{Path: realEnvoy(t).Path, Config: config(t, port), Dir: t.TempDir(), Concurrency: 2})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := proxy.ListenerURL(t.Context(), envoyconf.DefaultListener)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(listener + "/some/path")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if string(body) != "hello" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}

	stats, err := proxy.Stats(t.Context())
	if err != nil || stats["server.concurrency"] != 2 || stats["cluster.upstream.upstream_rq_total"] != 1 {
		t.Errorf("stats: concurrency %d, requests %d, %v", stats["server.concurrency"], stats["cluster.upstream.upstream_rq_total"], err)
	}
	prometheus, err := proxy.Get(t.Context(), "/stats/prometheus")
	if err != nil || !strings.Contains(prometheus, `envoy_cluster_upstream_rq_total{envoy_cluster_name="upstream"} 1`) {
		t.Errorf("Prometheus: %v:\n%s", err, prometheus)
	}
	if _, err := proxy.ListenerURL(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("got error %v for a listener that does not exist", err)
	}
	wait, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// The first is the access log, on standard output, and the second the log, on standard error.
	for _, line := range []string{`"GET /some/path HTTP/1.1" 200`, "starting main dispatch loop"} {
		if err := envoytest.Until(wait, func() error { return proxy.logged(line) }); err != nil {
			t.Error(err)
		}
	}
	whole, err := os.ReadFile(proxy.LogFile())
	if err != nil || !strings.Contains(string(whole), "starting main dispatch loop") {
		t.Errorf("log file %s: %v:\n%s", proxy.LogFile(), err, whole)
	}

	for range 2 {
		if err := proxy.Stop(); err != nil {
			t.Error(err)
		}
	}
	assertGone(t, proxy.AdminURL())
}

func (p *Proxy) logged(part string) error {
	if !slices.ContainsFunc(p.Log().Lines(0), func(line string) bool { return strings.Contains(line, part) }) {
		return fmt.Errorf("no line of the log has %q", part)
	}
	return nil
}

// assertGone waits until nothing listens at a URL.
func assertGone(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, 30*time.Second)
	defer cancel()
	err := envoytest.Until(ctx, func() error {
		res, err := http.Get(url + "/ready")
		if err != nil {
			return nil //nolint:nilerr // nothing listens any more, as it should be
		}
		res.Body.Close()
		return fmt.Errorf("%s still answers", url)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// If Envoy refuses a configuration, the error has Envoy's own words and the path of the log.
func TestStartShowsWhyEnvoyRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Start(t.Context(), StartOptions{Path: realEnvoy(t).Path, Config: []byte("static_resources: {listenerz: []}"), Dir: dir})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"exited before it was ready", "listenerz", "the whole log: " + dir} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error says nothing of %q:\n%v", want, err)
		}
	}
}

func TestStartNotReadyInTime(t *testing.T) {
	t.Parallel()
	// A proxy that waits for a control plane that never answers does not become ready.
	const waits = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
node: {id: x, cluster: x}
dynamic_resources: {cds_config: {initial_fetch_timeout: 0s, resource_api_version: V3, api_config_source: {api_type: REST, transport_api_version: V3, cluster_names: [nobody], refresh_delay: 60s}}}
static_resources:
  clusters:
  - {name: nobody, load_assignment: {cluster_name: nobody, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}}]}]}}
`
	_, err := Start(t.Context(), StartOptions{
		Path: realEnvoy(t).Path, Config: []byte(waits), Dir: t.TempDir(), ReadyTimeout: 2 * time.Second,
	})
	if err == nil || !strings.Contains(err.Error(), "not ready after 2s") {
		t.Errorf("got error %v", err)
	}
}

func TestStartRefusesMissingOptions(t *testing.T) {
	t.Parallel()
	if _, err := Start(t.Context(), StartOptions{Path: "envoy"}); err == nil || !strings.Contains(err.Error(), "must be given") {
		t.Errorf("got error %v", err)
	}
	_, err := Start(t.Context(), StartOptions{Path: "/nonexistent", Config: []byte("{}"), Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "exited before it was ready") {
		t.Errorf("got error %v", err)
	}
}

// The proxy ends when the context of Start ends. Stop does not take that for an exit of the
// proxy's own.
func TestProxyEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end     func(context.CancelFunc, *Proxy)
		wantErr bool
	}{
		"context": {func(cancel context.CancelFunc, _ *Proxy) { cancel() }, false},
		"killed": {func(_ context.CancelFunc, p *Proxy) {
			pids, err := exec.Command("pgrep", "-f", filepath.Dir(filepath.Dir(filepath.Dir(p.LogFile())))).Output()
			pid, err2 := strconv.Atoi(strings.TrimSpace(string(pids)))
			if err := errors.Join(err, err2); err != nil {
				t.Fatalf("find the process: %v: %q", err, pids)
			}
			process, err := os.FindProcess(pid)
			if err == nil {
				err = process.Kill()
			}
			if err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			proxy, err := Start(ctx, StartOptions{Path: realEnvoy(t).Path, Config: config(t, 1), Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			test.end(cancel, proxy)
			select {
			case <-proxy.Done():
			case <-time.After(30 * time.Second):
				t.Fatal("still running")
			}
			if err := proxy.Stop(); (err != nil) != test.wantErr {
				t.Errorf("Stop: %v, want an error: %v", err, test.wantErr)
			}
			assertGone(t, proxy.AdminURL())
		})
	}
}

// Even kill -9 of the process that started Envoy leaves no Envoy running (on Linux; other
// kernels have no such signal).
func TestProxyEndsWithKilledParent(t *testing.T) {
	const helper = "ENVOY_TEST_HELPER_DIR"
	if dir := os.Getenv(helper); dir != "" {
		proxy, err := Start(background, StartOptions{Path: os.Getenv("ENVOY_TEST_HELPER_PATH"), Config: config(t, 1), Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("admin %s\n", proxy.AdminURL())
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // until killed, or until the parent has gone
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux: only its kernel tells a process that its parent was killed")
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProxyEndsWithKilledParent$")
	cmd.Env = append(os.Environ(), helper+"="+t.TempDir(), "ENVOY_TEST_HELPER_PATH="+realEnvoy(t).Path)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var admin string
	lines := bufio.NewScanner(out)
	for admin == "" && lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "admin "); ok {
			admin = url
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	cmd.Wait() //nolint:errcheck // it was killed
	if admin == "" {
		t.Fatal("the helper did not start a proxy")
	}
	assertGone(t, admin)
}
