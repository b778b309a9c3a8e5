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
	"github.com/slipway-wasm/slipway/deploy/internal/printable"
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
	// workFolder holds files that are useful only to a running release and to the next
	// run.
	workFolder = "release"
)

// Release releases a version, step by step, and returns its record, which it also
// writes to RecordFile. With Options.Until it stops earlier and returns no record.
//
// Nothing is published before the steps that look, build twice and test have passed,
// and no moving tag points to anything before it was read back. A second run does only
// what is missing. It does not repeat tests for the same commit and the same bytes, and
// it confirms what is published. It never changes what is published. If something else
// is published under the version, it stops with *immutable.Conflict. If that was there
// before the release began, the step StepLook finds it.
//
// Two releases in one folder exclude each other (ErrRunning). Two releases of one
// version from different folders are the same release if their commits are the same.
// Otherwise one of them gets the version, and the other stops at the first filter, by
// name.
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

// run is one run of Release. Its steps fill it in.
type run struct {
	Options
	list    *list
	started time.Time
	// reaches has the steps that this run goes as far as. A job that stops earlier may have
	// no credentials for the others.
	reaches map[string]bool

	// Set by the step check.
	git     gitinfo.Info
	sources []catalog.Filter
	state   *state
	// Set by the step build.
	release build.Release
	files   []string // files that influence what is published, and that only the commit vouches for
	// Set by the step look, and opened anew by push.
	stores *stores
	images []*oci.Image
	// Set by the steps push and upload.
	published []oci.Published
	objects   []storage.Object
	// Set by the step render.
	facts []manifest.Source
	// Set by the step verify: the bundle of the record; nil if it is not signed.
	bundle []byte
	// Set by the step tags.
	previous map[string]Previous
	// Set by the step record.
	record *Record

	// Set by Preview: nothing is written.
	previewing bool
	// Set by Preview: the published versions of each filter, the newest first.
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
	r := &run{Options: opts, list: newList(opts.Out), started: time.Now(), reaches: map[string]bool{}}
	for _, step := range Steps {
		r.reaches[step] = true
		if step == opts.Until {
			break
		}
	}
	if err := r.checkShard(); err != nil {
		return nil, err
	}
	if r.Notice == nil {
		r.Notice = func(err error) { printable.Fprintln(r.list, err) }
	}
	return r, nil
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
