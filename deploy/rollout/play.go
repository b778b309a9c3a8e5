package rollout

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/scenario/play"
)

// pollInterval is the time between two looks for what must follow a change.
const pollInterval = 50 * time.Millisecond

// stage is one plan that is being played.
type stage struct {
	name     string
	filters  []string
	dir      string // for manifests
	workload Workload
	stores   *stores
	releases map[string][]manifest.Source

	place    play.Place        // of the current step
	folders  map[string]string // of each filter's manifests, as rendered last
	rendered int               // how often manifests were rendered
	mark     int               // lines of log before the current step
	start    time.Time         // of the current step
}

// folder is that of a filter's manifests in one form.
func (s *stage) folder(filter, form string) string { return filepath.Join(s.folders[filter], form) }

// PlayAll plays every plan, some side by side, prints the table of all steps
// and returns what failed.
func (r *Rollout) PlayAll(ctx context.Context, mesh Mesh) error {
	plans := r.Plans()
	failures := make([]error, len(plans))
	var group errgroup.Group
	group.SetLimit(r.options.Parallel)
	for i, plan := range plans {
		group.Go(func() error {
			failures[i] = r.Play(ctx, mesh, plan)
			return nil
		})
	}
	_ = group.Wait() // every plan keeps its own error: all are reported
	r.report.print(r.options.Out)
	return errors.Join(failures...)
}

// Play plays one plan. Its error names the step, says what was expected and what
// was seen instead, and repeats what the proxy's agent said.
func (r *Rollout) Play(ctx context.Context, mesh Mesh, plan Plan) (err error) {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("plan %s: %w", plan.Name, err)
		}
	}()
	s := &stage{
		name:     plan.Name,
		filters:  plan.filters,
		dir:      filepath.Join(r.dir, plan.Name),
		releases: map[string][]manifest.Source{},
		folders:  map[string]string{},
	}
	if s.stores, err = r.openStores(plan.Name); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stores.close()) }()
	if err := s.publish(ctx, plan); err != nil {
		return err
	}

	start := time.Now()
	s.workload, err = mesh.Workload(ctx, plan.Name)
	r.report.add(row{plan: plan.Name, step: "the workload is up", took: time.Since(start), failed: err != nil})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.workload.Close()) }()
	return plan.steps(ctx, s)
}

// playAll plays steps one after the other, until one fails.
func (s *stage) playAll(ctx context.Context, steps []step) error {
	r := s.stores.rollout
	for _, step := range steps {
		err := s.play(ctx, step, r.options.StepTimeout)
		if !step.quiet || err != nil {
			r.report.add(row{plan: s.name, step: step.name, took: time.Since(s.start), failed: err != nil})
		}
		if err != nil {
			return fmt.Errorf("step %q: %w%s%s", step.name, err, s.said(ctx), s.kept(ctx))
		}
	}
	return nil
}

// publish publishes the plan's releases, unless they are published already.
func (s *stage) publish(ctx context.Context, plan Plan) (err error) {
	if len(plan.published) > 0 {
		s.releases[plan.published[0].Version] = plan.published
		return nil
	}
	for _, release := range []string{First, Second} {
		if s.releases[release], err = s.stores.publish(ctx, release, plan.filters); err != nil {
			return err
		}
	}
	return nil
}

// play makes one step and waits for what must follow.
func (s *stage) play(ctx context.Context, step step, timeout time.Duration) error {
	lines, err := s.workload.Log(ctx)
	if err != nil {
		return err
	}
	s.mark = len(lines)
	s.start = time.Now()
	if err := step.change(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("gave up after %v", timeout))
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var last error
	for {
		err := s.see(ctx, step)
		if err == nil || errors.As(err, new(final)) {
			return err
		}
		if last == nil || ctx.Err() == nil { // else it only says that time is up
			last = err
		}
		// The agent does not retry what it could not fetch before something changes.
		// (But at each change, even of another filter, it does retry what an earlier
		// step got wrong on purpose.)
		said, logErr := s.agentRefusals(ctx)
		if logErr == nil && slices.ContainsFunc(said, func(line string) bool { return !strings.Contains(line, nowhere) }) {
			return fmt.Errorf("%w: the agent cannot fetch a module", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", last, context.Cause(ctx))
		}
	}
}

// see returns nil if the effect of a step shows now.
func (s *stage) see(ctx context.Context, step step) error {
	if err := step.see(ctx); err != nil || step.why == "" {
		return err
	}
	said, err := s.agentRefusals(ctx)
	if err != nil {
		return err
	}
	for _, line := range said {
		if strings.Contains(line, step.why) && strings.Contains(line, "applying "+step.instead+" RBAC filter") {
			return nil
		}
	}
	return fmt.Errorf("the agent did not say %q and that it applies an RBAC filter to %s", step.why, step.instead)
}

// agentRefusals returns the lines since the step began in which the agent says that
// it cannot fetch a module:
// https://github.com/istio/istio/blob/1.31.1/pkg/wasm/convert.go
func (s *stage) agentRefusals(ctx context.Context) ([]string, error) {
	lines, err := s.workload.Log(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(lines[min(s.mark, len(lines)):], func(line string) bool {
		return !strings.Contains(line, "error in converting the wasm config to local")
	}), nil
}

// saidLines bounds what goes into an error.
const saidLines = 30

// said returns what the proxy's agent and Envoy have logged of wasm since the current
// step began. It is on lines of its own, to be added to an error.
func (s *stage) said(ctx context.Context) string {
	// The step's own deadline may have passed, and the words matter even after Ctrl-C.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	lines, err := s.workload.Log(ctx)
	if err != nil {
		return fmt.Sprintf("\n  (the proxy's log cannot be read: %v)", err)
	}
	var said []string
	about := false
	for _, line := range lines[min(s.mark, len(lines)):] {
		// An indented line continues the line before.
		if about = isAboutFilters(line) || about && strings.HasPrefix(line, "\t"); about {
			said = append(said, "\n  "+line)
		}
	}
	if len(said) == 0 {
		return "\n  (the proxy's log says nothing of filters since then)"
	}
	return "\n  the proxy's log since then:" + strings.Join(said[max(0, len(said)-saidLines):], "")
}

// kept lets the workload write down what it knows, if it can, and names the folder on a
// line of its own.
func (s *stage) kept(ctx context.Context) string {
	keeper, ok := s.workload.(Keeper)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	folder, err := keeper.Keep(ctx)
	if err != nil {
		return fmt.Sprintf("\n  (not all could be kept: %v)", err)
	}
	return "\n  kept in " + folder
}

// isAboutFilters reports whether a line is the agent's about wasm, or Envoy's about
// filters or about a configuration that it rejects. What filters log of requests does
// not count.
func isAboutFilters(line string) bool {
	lower := strings.ToLower(line)
	if strings.Contains(line, "\tinfo\t") && strings.Contains(line, "wasm log") {
		return false
	}
	return slices.ContainsFunc([]string{"wasm", "extensionconfig", "ecds", "rejected"}, func(word string) bool {
		return strings.Contains(lower, word)
	})
}
