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

	"github.com/gofrs/flock"

	"github.com/slipway-wasm/slipway/deploy/build"
	"github.com/slipway-wasm/slipway/deploy/catalog"
	"github.com/slipway-wasm/slipway/deploy/internal/gitinfo"
	"github.com/slipway-wasm/slipway/deploy/manifest"
	"github.com/slipway-wasm/slipway/deploy/oci"
	"github.com/slipway-wasm/slipway/deploy/storage"
	"github.com/slipway-wasm/slipway/deploy/version"
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
		return nil, fmt.Errorf("release %s: %w", r.Version, err)
	}
	err = r.do(ctx)
	if err = errors.Join(err, r.closeStores(), unlock()); err != nil {
		return nil, fmt.Errorf("release %s: %w", r.Version, err)
	}
	return r.record, nil
}

// run is one run of Release: the one value, which its steps add to.
type run struct {
	Options
	list    *list
	started time.Time
	times   []StepTime

	// By the step check.
	git     gitinfo.Info
	sources []catalog.Filter
	// By the step build.
	release build.Release
	files   []string // that decide what is published, and that only the commit vouches for
	state   *state
	// By the step look and, opened anew, push.
	stores *stores
	images []*oci.Image
	// By the steps push and upload.
	published []oci.Published
	objects   []storage.Object
	// By the step render.
	facts []manifest.Source
	// By the step tags.
	previous map[string]Previous
	// By the step record.
	record *Record

	// By Preview: what is published of each filter, the newest first.
	versions map[string][]version.Version
}

func newRun(opts Options) (*run, error) {
	if opts.Version.IsZero() {
		return nil, errors.New("no version was given")
	}
	if opts.Out == nil {
		opts.Out = io.Discard
	}
	if opts.Maker == nil {
		opts.Maker = Real{}
	}
	if opts.Dist == "" {
		opts.Dist = "dist"
	}
	if len(opts.Shapes) == 0 {
		opts.Shapes = []oci.Shape{oci.Artifact}
	}
	if !slices.Contains(opts.Shapes, oci.Artifact) {
		return nil, fmt.Errorf("the shape %s is %w", oci.Artifact, ErrShapes)
	}
	if opts.Until != "" && !slices.Contains(Steps, opts.Until) {
		return nil, fmt.Errorf("there is no step %q to stop after; the steps are %s", opts.Until, strings.Join(Steps, ", "))
	}
	return &run{Options: opts, list: newList(opts.Out), started: time.Now()}, nil
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
