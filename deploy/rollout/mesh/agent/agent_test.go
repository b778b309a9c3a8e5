//go:build linux

package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy"
	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/rollout"
)

// Even if the test is killed with SIGKILL, no agent and no Envoy is left behind.
func TestAgentEndsWithKilledParent(t *testing.T) {
	const helper = "MESH_TEST_HELPER_DIR"
	if dir := os.Getenv(helper); dir != "" {
		admin, pid, err := startLonely(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("started %d %d\n", pid, admin)
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // until killed, or until the parent has gone
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAgentEndsWithKilledParent$")
	cmd.Env = append(os.Environ(), helper+"="+t.TempDir())
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
	var printed []string
	var pid, admin int
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		printed = append(printed, lines.Text())
		fmt.Sscanf(lines.Text(), "started %d %d", &pid, &admin) //nolint:errcheck // other lines
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	cmd.Wait() //nolint:errcheck // it was killed
	if pid == 0 {
		t.Fatalf("the helper started no agent:\n%s", strings.Join(printed, "\n"))
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = envoytest.Until(ctx, func() error {
		if err := syscall.Kill(pid, 0); err == nil {
			return errors.New("the agent still runs")
		}
		if err := answers(ctx, admin); err == nil {
			return errors.New("Envoy still runs")
		}
		return nil
	})
	if err != nil {
		syscall.Kill(-pid, syscall.SIGKILL) //nolint:errcheck // it may have ended since
		t.Error(err)
	}
}

// startLonely starts an agent that finds no control plane, and waits for its Envoy.
func startLonely(ctx context.Context, dir string) (admin, pid int, err error) {
	ports, err := FreePorts(5)
	if err != nil {
		return 0, 0, err
	}
	proxy, err := envoy.Find(ctx, envoy.FindOptions{Path: os.Getenv("ENVOY_PATH"), Log: os.Stdout})
	if err != nil {
		return 0, 0, err
	}
	binary, err := Build(ctx, os.Stdout)
	if err != nil {
		return 0, 0, err
	}
	bootstrap, err := BootstrapTemplate(ctx)
	if err != nil {
		return 0, 0, err
	}
	a, err := Start(Options{
		Binary: binary, Envoy: proxy.Path, Bootstrap: bootstrap,
		Istiod: fmt.Sprintf("127.0.0.1:%d", ports[0]), Registry: "127.0.0.1:1",
		Dir: dir, Namespace: "lonely",
		Admin: ports[1], Status: ports[2], Ready: ports[3], Metrics: ports[4],
	})
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := envoytest.Until(ctx, func() error { return answers(ctx, ports[1]) }); err != nil {
		return 0, 0, fmt.Errorf("%w\n  %s", err, a.LastWords())
	}
	return ports[1], a.process.Pid, nil
}

// answers returns nil if Envoy's admin interface does.
func answers(ctx context.Context, port int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/server_info", port), http.NoBody)
	if err != nil {
		return err
	}
	_, _, err = rollout.Do(http.DefaultClient, req)
	return err
}
