//go:build unix

package children_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-wasm/slipway/deploy/envoy/envoytest"
	"github.com/slipway-wasm/slipway/deploy/internal/children"
)

// family is a program that starts another, as the go command does. Both write their ids. The
// second one takes no notice of polite signals.
const family = `echo $$ >program
sh -c 'trap "" INT TERM HUP; echo $$ >new; mv new grandchild; exec sleep 1000' &
wait`

// TestMain makes this test binary a parent to kill.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SLIPWAY_TEST_PARENT"); dir != "" {
		// Under nohup, Go programs would take no notice of it.
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		go func() {
			<-hangup
			os.Exit(1)
		}()
		err := children.Run(command(context.Background(), dir))
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func command(ctx context.Context, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", family)
	cmd.Dir = dir
	return cmd
}

// started waits until both programs run, and returns their ids.
func started(t *testing.T, dir string) []int {
	t.Helper()
	var ids []int
	until(t, func() error {
		ids = nil
		for _, name := range []string{"program", "grandchild"} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			id, err := strconv.Atoi(strings.TrimSpace(string(content)))
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	return ids
}

func ended(t *testing.T, ids []int) {
	t.Helper()
	until(t, func() error {
		for _, id := range ids {
			// A zombie has ended: where nobody adopts orphans, nobody waits for it.
			state, _ := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(id)).Output()
			if s := strings.TrimSpace(string(state)); s != "" && !strings.HasPrefix(s, "Z") {
				return fmt.Errorf("%d still runs", id)
			}
		}
		return nil
	})
}

func until(t *testing.T, see func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := envoytest.Until(ctx, see); err != nil {
		t.Fatal(err)
	}
}

// TestParentKilled kills a process in all ways. What it started ends, and what that started.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	for _, way := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(way.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			parent := exec.Command(os.Args[0])
			parent.Env = append(os.Environ(), "SLIPWAY_TEST_PARENT="+dir)
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			ids := started(t, dir)
			if err := parent.Process.Signal(way); err != nil {
				t.Fatal(err)
			}
			_ = parent.Wait() // it was killed
			ended(t, ids)
		})
	}
}

// TestContextEnds: the whole group is interrupted, and then killed.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, wait := envoytest.Go(func() error { return children.Run(command(ctx, dir)) })
	ids := started(t, dir)
	cancel()
	if err := wait(); err == nil {
		t.Error("an interrupted program is a success")
	}
	ended(t, ids)
}

// TestLeft: a program that ends leaves nothing behind.
func TestLeft(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
	out, err := children.Output(cmd)
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, []int{id})
}

// TestOutcome: the program gets its arguments, files and input as they are, and its exit code
// and what it says come back.
func TestOutcome(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `cat; printf "<%s>" "$@"`, "sh", "a b", "", "$c")
	cmd.Stdin = strings.NewReader("in ")
	if out, err := children.Output(cmd); err != nil || string(out) != "in <a b><><$c>" {
		t.Errorf("output %q, error %v", out, err)
	}
	if cmd.Args[0] != "sh" || cmd.Args[2] != `cat; printf "<%s>" "$@"` {
		t.Errorf("a message would say %q", cmd.Args)
	}
	_, err := children.Output(exec.CommandContext(t.Context(), "sh", "-c", "exit 3"))
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("error %v", err)
	}
	if err := children.Run(exec.CommandContext(t.Context(), "there-is-no-such-program")); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
}
