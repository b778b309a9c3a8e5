//go:build linux

package targets

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/internal/children"
)

// asMage makes the test binary run as mage's program does, with a target that starts programs.
const asMage = "SLIPWAY_TEST_AS_MAGE"

// TestMageWithATarget is what the other process runs. The target's program has a child, and
// neither ends by itself.
func TestMageWithATarget(*testing.T) {
	if os.Getenv(asMage) == "" {
		return // it is the helper of TestInterrupted
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := ended(func() error {
		cmd := exec.CommandContext(ctx, "sh", "-c", `sh -c 'trap "" INT; echo $$; while :; do sleep 1; done' & echo $$; wait`)
		cmd.Stdout = os.Stdout
		err := children.Run(cmd)
		if ctx.Err() != nil {
			return fmt.Errorf("release 1.4.0: step test: %w", context.Cause(ctx))
		}
		return err
	}())
	stop()
	fmt.Fprintf(os.Stderr, "Error: %+v\n", err)
	if status := new(interruption); errors.As(err, &status) {
		os.Exit(status.ExitStatus())
	}
	os.Exit(1)
}

func alive(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(state, []byte(") Z "))
}

// TestInterrupted: after Ctrl-C and after SIGTERM, and when mage itself is killed, a target ends
// with what it started, and says what was interrupted.
func TestInterrupted(t *testing.T) {
	for name, c := range map[string]struct {
		signal syscall.Signal
		status int
		last   string
	}{
		"Ctrl-C":      {syscall.SIGINT, 130, "interrupted by Ctrl-C; run the same again, and it goes on from there"},
		"SIGTERM":     {syscall.SIGTERM, 143, "interrupted by SIGTERM; run the same again, and it goes on from there"},
		"a dead mage": {syscall.SIGKILL, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The shell is mage, which waits for its program.
			cmd := exec.Command("sh", "-c", `"$0" -test.run='^TestMageWithATarget$' & echo $!; wait $!`, os.Args[0])
			cmd.Env = append(os.Environ(), asMage+"=1")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			var pids []int
			lines := bufio.NewScanner(stdout)
			for len(pids) < 3 && lines.Scan() {
				pid, err := strconv.Atoi(lines.Text())
				if err != nil {
					t.Fatal(err)
				}
				pids = append(pids, pid)
			}
			if len(pids) < 3 {
				t.Fatalf("it started %v: %s", pids, stderr.String())
			}
			target := pids[0]
			if c.signal == syscall.SIGKILL {
				target = cmd.Process.Pid
			}
			if err := syscall.Kill(target, c.signal); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := envoytest.Until(ctx, func() error {
				for _, pid := range pids {
					if alive(pid) {
						return fmt.Errorf("process %d is alive", pid)
					}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			err = cmd.Wait()
			exit := new(exec.ExitError)
			if c.status != 0 && (!errors.As(err, &exit) || exit.ExitCode() != c.status) {
				t.Errorf("it ended with %v, want status %d", err, c.status)
			}
			if text := strings.TrimSpace(stderr.String()); !strings.HasSuffix(text, c.last) || strings.Contains(text, "canceled") {
				t.Errorf("it says\n%s", text)
			}
		})
	}
}
