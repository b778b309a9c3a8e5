package release

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/fatih/color"
)

// The names of the steps.
const (
	StepCheck   = "check"
	StepBuild   = "build"
	StepRebuild = "rebuild"
	StepLook    = "look"
	StepTest    = "test"
	StepE2E     = "e2e"
	StepPush    = "push"
	StepUpload  = "upload"
	StepAttest  = "attest"
	StepRender  = "render"
	StepVerify  = "verify"
	StepTags    = "tags"
	StepRecord  = "record"
)

// step is one step of a release.
type step struct {
	name string
	// run does it. It returns what it found, in half a sentence, and whether an earlier
	// run had done it.
	run func(r *run, ctx context.Context, out io.Writer) (note string, confirmed bool, err error)
	// would describes what it would do, one line each. Nil if Preview runs the step
	// itself.
	would func(r *run) []string
	// transfers says that it reads from or writes to the stores.
	// Options.TransferTimeout limits it.
	transfers bool
}

// steps are the steps of a release, in order. Each begins when the one before has
// passed.
var steps = []step{
	// The checkout is clean, and is at the release's git tag.
	{name: StepCheck, run: (*run).check},
	// Build; build the commit again in another folder with empty caches; compare.
	{name: StepBuild, run: (*run).build, would: (*run).wouldBuild},
	{name: StepRebuild, run: (*run).rebuild, would: (*run).wouldRebuild},
	// Refuse a version under which something else is published.
	{name: StepLook, run: (*run).look, would: says("refuse if anything else is published under this version"), transfers: true},
	// Every test; the scenarios in each Envoy, on exactly these bytes.
	{name: StepTest, run: (*run).test, would: (*run).wouldTest},
	{name: StepE2E, run: (*run).e2e, would: (*run).wouldE2E},
	// Publish under the exact version.
	{name: StepPush, run: (*run).push, would: (*run).wouldPush, transfers: true},
	{name: StepUpload, run: (*run).upload, would: (*run).wouldUpload, transfers: true},
	// Attach bills of materials, provenances, test results and signatures.
	{name: StepAttest, run: (*run).attest, would: says("attach what proves where they come from"), transfers: true},
	// Write manifests from what is read back, and compare all of it with the record.
	{name: StepRender, run: (*run).render, would: (*run).wouldRender, transfers: true},
	{name: StepVerify, run: (*run).verify, would: says("read everything back from the outside"), transfers: true},
	// 1.4, 1 and latest move, where this is the newest.
	{name: StepTags, run: (*run).moveTags, would: (*run).wouldMoveTags, transfers: true},
	// The record, and the notes for people.
	{name: StepRecord, run: (*run).writeRecord, would: (*run).wouldRecord},
}

// Steps are the names of all steps, in their order.
var Steps = func() []string {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.name
	}
	return names
}()

func says(line string) func(*run) []string { return func(*run) []string { return []string{line} } }

// do runs the steps.
func (r *run) do(ctx context.Context) error {
	for _, s := range steps {
		began := time.Now()
		r.list.begin(s.name)
		note, confirmed, err := r.doOne(ctx, s)
		took := time.Since(began)
		if err != nil {
			r.list.end("FAILED", color.FgRed, took, "")
			return fmt.Errorf("step %s: %w", s.name, err)
		}
		result, mark := "done", color.FgGreen
		if confirmed {
			result, mark = "confirmed", color.FgCyan
		}
		r.list.end(result, mark, took, note)
		if s.name == r.Until && s.name != StepRecord {
			fmt.Fprintf(r.Out, "Stopped after %s, as asked. Run it again without -until to go on.\n", s.name)
			return nil
		}
	}
	return r.summarize()
}

func (r *run) doOne(ctx context.Context, s step) (note string, confirmed bool, err error) {
	if s.transfers {
		var cancel context.CancelFunc
		ctx, cancel = r.transfer(ctx)
		defer cancel()
	}
	return s.run(r, ctx, r.list)
}

// transfer limits a step that reads from or writes to the stores.
func (r *run) transfer(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.TransferTimeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, r.TransferTimeout, ErrTransferTimeout)
}
