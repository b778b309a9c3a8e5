package pipeline

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/slipway-wasm/slipway/deploy/bench/usage"
	"github.com/slipway-wasm/slipway/deploy/variables"
)

// spent is what a process and its descendants used.
type spent struct {
	wall time.Duration
	cpu  time.Duration // user and system
	peak uint64        // resident memory in bytes, of all of them at one moment
}

// interval is the time between two readings of memory. A process that lives shorter may
// be missed. Reading more often would itself be noticed on a machine with two
// processors. The first readings come ten times as often, for targets that take no
// longer.
const interval = 50 * time.Millisecond

// execute runs a command to its end and measures it. The error includes the end of the
// command's output.
func execute(ctx context.Context, dir string, env []string, name string, args ...string) (spent, error) {
	fail := func(err error) (spent, error) {
		return spent{}, fmt.Errorf("run %s in %s: %w", strings.Join(args, " "), dir, err)
	}
	// A file, because a pipe is read to its end by whoever waits for the process.
	output, err := os.CreateTemp("", "slipway-bench-*.log")
	if err != nil {
		return fail(err)
	}
	defer func() {
		_ = output.Close()
		_ = os.Remove(output.Name())
	}()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.Stdout, cmd.Stderr = output, output
	// The process has to stop its Envoys. It could not if it were killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return fail(err)
	}
	done, peak := make(chan struct{}), make(chan uint64)
	go func() { peak <- watch(cmd.Process.Pid, done) }()
	err = cmd.Wait()
	wall := time.Since(began)
	close(done)
	s := spent{wall: wall, peak: <-peak}
	if err != nil {
		if ctx.Err() != nil {
			return fail(ctx.Err())
		}
		text, _ := os.ReadFile(output.Name()) // err is what matters
		return fail(fmt.Errorf("%w; it printed, at the end:\n%s", err, text[max(0, len(text)-4096):]))
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return s, nil
}

// watch reads the memory of a process and its descendants until done, and returns the
// highest value.
func watch(pid int, done <-chan struct{}) (peak uint64) {
	const soonest = interval / 10
	for pause := soonest; ; pause = min(pause+pause/10, interval) {
		if rss, err := usage.TreeRSS(pid); err == nil {
			peak = max(peak, rss)
		}
		select {
		case <-done:
			return peak
		case <-time.After(pause):
		}
	}
}

// passed are the variables of package variables that are the user's to choose.
var passed = []string{"ENVOY_PATH", "ENVOY_VERSIONS", "TRANSFER_TIMEOUT"}

// environment returns this process's environment, with more variables. It leaves out
// the ones that would make the targets do other work than what is measured.
func environment(more ...string) []string {
	var dropped []string
	for _, v := range variables.Describe[variables.Values]() {
		if !slices.Contains(passed, v.Name) {
			dropped = append(dropped, v.Name)
		}
	}
	environment := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return strings.HasPrefix(name, "SLIPWAY_") || slices.Contains(dropped, name)
	})
	return append(append(environment, "GOWORK=off"), more...)
}
