package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/fatih/color"
	"github.com/gofrs/flock"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
)

// The files of a release in Options.Dist.
const (
	// RecordFile is the record, a Record.
	RecordFile = "release.json"
	// NotesFile says the same to people, in Markdown: the text of a GitHub release.
	NotesFile = "release.md"
	// workFolder holds what is of use while a release runs, and to the next run.
	workFolder = "release"
)

// Release releases a version, step by step, and returns its record, which it also
// writes to RecordFile. With Options.Until it stops earlier and returns no record.
//
// Nothing is published before the steps that look, build twice and test have
// passed; and no moving tag leads to anything before it was read back. Run again,
// it does only what is missing: tests are not run again for the same commit and the
// same bytes, and what is published is confirmed. It never changes what is
// published: where something else is, it stops with *immutable.Conflict, in the
// step StepLook if that was there before.
//
// Two releases in one folder exclude each other (ErrRunning). Two of one version
// from different folders are the same release if they are of the same commit; else
// one gets the version, and the other stops at the first filter, by name.
func Release(ctx context.Context, opts Options) (*Record, error) {
	r, err := newRun(opts)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	unlock, err := r.lock()
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", r.version, err)
	}
	err = r.steps(ctx)
	if err = errors.Join(err, r.closeStores(), unlock()); err != nil {
		return nil, fmt.Errorf("release %s: %w", r.version, err)
	}
	return r.record, nil
}

// run is one run of Release, and what its steps hand on.
type run struct {
	Options
	version *semver.Version
	tag     string // the git tag
	names   []string
	list    *list
	started time.Time
	times   []StepTime

	// By the step check.
	git     gitinfo.Info
	filters []catalog.Filter
	// By the step build.
	modules []build.Module
	files   []string // that decide what is published, and that only the commit vouches for
	state   *state
	// By the step look and, opened anew, push.
	stores   *Stores
	previous map[string]Previous
	// By the steps push and upload.
	published []oci.Published
	objects   []storage.Object
	// By the step render.
	releases []manifest.Release
	// By the step record.
	record *Record
}

func newRun(opts Options) (*run, error) {
	if opts.Stores == nil || opts.Test == nil || opts.E2E == nil {
		return nil, errors.New("Stores, Test and E2E are required")
	}
	if opts.Out == nil {
		opts.Out = io.Discard
	}
	if opts.Build == nil {
		opts.Build = build.Build
	}
	if opts.Dist == "" {
		opts.Dist = "dist"
	}
	if len(opts.Shapes) == 0 {
		opts.Shapes = []oci.Shape{oci.Artifact}
	}
	if opts.Transfer == nil {
		opts.Transfer = func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} }
	}
	if !slices.Contains(opts.Shapes, oci.Artifact) {
		return nil, fmt.Errorf("the shape %s is %w", oci.Artifact, ErrShapes)
	}
	if opts.Until != "" && !slices.Contains(Steps, opts.Until) {
		return nil, fmt.Errorf("there is no step %q to stop after; the steps are %s", opts.Until, strings.Join(Steps, ", "))
	}
	version, tag, names, err := parseVersion(opts.Version, opts.Filters)
	if err != nil {
		return nil, err
	}
	return &run{Options: opts, version: version, tag: tag, names: names, list: newList(opts.Out), started: time.Now()}, nil
}

// step is one step of a release.
type step struct {
	name string
	// run does it, and says in half a sentence what it found, and whether an
	// earlier run had done it.
	run func(ctx context.Context, out io.Writer) (note string, confirmed bool, err error)
}

// plan are the steps of this release, in the order of Steps.
func (r *run) plan() []step {
	steps := []step{
		{StepCheck, r.check},
		{StepBuild, r.build},
		{StepRebuild, r.rebuild},
		{StepLook, r.transfer(r.look)},
		{StepTest, r.test},
		{StepE2E, r.e2e},
		{StepPush, r.transfer(r.push)},
		{StepUpload, r.transfer(r.upload)},
		{StepAttest, r.transfer(r.attest)},
		{StepRender, r.transfer(r.render)},
		{StepVerify, r.transfer(r.verify)},
		{StepTags, r.transfer(r.moveTags)},
		{StepRecord, r.writeRecord},
	}
	if r.Attest == nil {
		steps = slices.DeleteFunc(steps, func(s step) bool { return s.name == StepAttest })
	}
	return steps
}

// transfer gives a step the deadline of those that read from or write to the
// stores.
func (r *run) transfer(do func(context.Context, io.Writer) (string, bool, error)) func(context.Context, io.Writer) (string, bool, error) {
	return func(ctx context.Context, out io.Writer) (string, bool, error) {
		ctx, cancel := r.Transfer(ctx)
		defer cancel()
		return do(ctx, out)
	}
}

func (r *run) steps(ctx context.Context) error {
	for _, s := range r.plan() {
		began := time.Now()
		r.list.begin(s.name)
		note, confirmed, err := s.run(ctx, r.list)
		took := time.Since(began)
		if err != nil {
			r.list.end("FAILED", color.FgRed, took, "")
			return fmt.Errorf("step %s: %w", s.name, err)
		}
		result, mark := "done", color.FgGreen
		if confirmed {
			result, mark = "confirmed", color.FgCyan
		}
		r.times = append(r.times, StepTime{Name: s.name, Seconds: took.Round(time.Millisecond).Seconds(), Confirmed: confirmed})
		r.list.end(result, mark, took, note)
		if s.name == r.Until && s.name != StepRecord {
			fmt.Fprintf(r.Out, "Stopped after %s, as asked. Run it again without -until to go on.\n", s.name)
			return nil
		}
	}
	return r.summarize()
}

func (r *run) work(name string) string { return filepath.Join(r.Dist, workFolder, name) }

// lock makes sure that no other release runs in the folder.
func (r *run) lock() (unlock func() error, err error) {
	if err := os.MkdirAll(r.work(""), 0o755); err != nil {
		return nil, err
	}
	lock := flock.New(r.work("lock"))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	if !locked {
		return nil, fmt.Errorf("%s: %w", r.Dist, ErrRunning)
	}
	return lock.Unlock, nil
}

// open opens the stores, unless they are.
func (r *run) open(ctx context.Context, out io.Writer) error {
	if r.stores != nil {
		return nil
	}
	stores, err := r.Stores(ctx, out)
	if err != nil {
		return err
	}
	if stores.Registry == nil && stores.Storage == nil {
		return errors.Join(errors.New("there is neither a registry nor a storage to publish in"), stores.close())
	}
	r.stores = stores
	return nil
}

func (r *run) closeStores() error {
	stores := r.stores
	r.stores = nil
	return stores.close()
}

func (s *Stores) close() error {
	if s == nil || s.Close == nil {
		return nil
	}
	return s.Close()
}
