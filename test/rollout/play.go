package rollout

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-wasm/slipway/deploy/manifest"
)

// pollInterval is how often what must follow a change is looked for.
const pollInterval = 50 * time.Millisecond

// stage is one scenario under way.
type stage struct {
	dir      string // for manifests
	workload Workload
	stores   *stores
	releases map[string][]manifest.Release

	rendered int // how often
	requests int // how many were sent
	mark     int // lines of log before the current step
	start    time.Time
}

// began starts the current step's clock again.
func (s *stage) began() { s.start = time.Now() }

// PlayAll plays every scenario, some side by side, prints the table of all steps
// and returns what failed.
func (r *Rollout) PlayAll(ctx context.Context, mesh Mesh) error {
	scenarios := Scenarios()
	failures := make([]error, len(scenarios))
	var group errgroup.Group
	group.SetLimit(r.options.Parallel)
	for i, scenario := range scenarios {
		group.Go(func() error {
			failures[i] = r.Play(ctx, mesh, scenario)
			return nil
		})
	}
	_ = group.Wait() // every scenario keeps its own error: all are reported
	r.report.print(r.options.Out)
	return errors.Join(failures...)
}

// Play plays one scenario. Its error tells the step, what was seen instead of what
// had to be, and what the proxy's agent said.
func (r *Rollout) Play(ctx context.Context, mesh Mesh, scenario Scenario) (err error) {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("scenario %s: %w", scenario.Name, err)
		}
	}()
	s := &stage{dir: filepath.Join(r.dir, scenario.Name), releases: map[string][]manifest.Release{}}
	if s.stores, err = r.openStores(scenario.Name); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stores.close()) }()
	for _, release := range []string{First, Second} {
		if s.releases[release], err = s.stores.publish(ctx, release, scenario.filters); err != nil {
			return err
		}
	}

	start := time.Now()
	s.workload, err = mesh.Workload(ctx, scenario.Name)
	r.report.add(row{scenario.Name, "the workload is up", time.Since(start), err != nil})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.workload.Close()) }()
	for _, step := range scenario.steps {
		err := s.play(ctx, step, r.options.StepTimeout)
		r.report.add(row{scenario.Name, step.name, time.Since(s.start), err != nil})
		if err != nil {
			return fmt.Errorf("step %q: %w%s", step.name, err, s.agentWords(ctx))
		}
	}
	return nil
}

// play makes one step and waits for what must follow.
func (s *stage) play(ctx context.Context, step step, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("gave up after %v", timeout))
	defer cancel()
	lines, err := s.workload.Log(ctx)
	if err != nil {
		return err
	}
	s.mark = len(lines)
	s.began()
	if err := step.change(ctx, s); err != nil {
		return err
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := step.see(ctx, s)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		}
	}
}

// saidLines bounds what goes into an error.
const saidLines = 20

// agentWords is what the proxy's agent and Envoy said of wasm since the current step
// began, in lines of their own, to be added to an error.
func (s *stage) agentWords(ctx context.Context) string {
	// The step's own deadline may have passed, and the words matter even after Ctrl-C.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	lines, err := s.workload.Log(ctx)
	if err != nil {
		return fmt.Sprintf("\n  (the proxy's log cannot be read: %v)", err)
	}
	var said []string
	for _, line := range lines[min(s.mark, len(lines)):] {
		if isAboutWasm(line) {
			said = append(said, "\n  "+line)
		}
	}
	if len(said) == 0 {
		return "\n  (the proxy's log says nothing of wasm since then)"
	}
	return "\n  the proxy's log since then:" + strings.Join(said[max(0, len(said)-saidLines):], "")
}

// isAboutWasm leaves out what filters log of requests.
func isAboutWasm(line string) bool {
	lower := strings.ToLower(line)
	about := strings.Contains(lower, "wasm") || strings.Contains(lower, "extensionconfig") || strings.Contains(lower, "ecds") ||
		strings.Contains(lower, "rejected") || strings.Contains(lower, "critical")
	return about && !strings.Contains(line, "[info][wasm]")
}
