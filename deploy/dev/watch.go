package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long nothing must change before a save counts as finished: an editor writes a
// file in several steps, and a formatter follows right after it.
const quiet = 40 * time.Millisecond

// watcher reports when a file in one of its folders was saved.
type watcher struct {
	notify *fsnotify.Watcher
	// saves gets the time at which the first file of a save changed. While nobody receives it,
	// it stands for later saves, too.
	saves chan time.Time
}

// newWatcher returns a watcher that ends with ctx.
func newWatcher(ctx context.Context) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch for changes: %w", err)
	}
	w := &watcher{notify: notify, saves: make(chan time.Time, 1)}
	go w.run(ctx)
	return w, nil
}

// watch replaces the watched folders. It watches folders and not files, because many editors
// save by renaming a new file to the old one's name.
func (w *watcher) watch(folders []string) error {
	for _, old := range w.notify.WatchList() {
		if !slices.Contains(folders, old) {
			_ = w.notify.Remove(old) // it may be gone already
		}
	}
	for _, folder := range folders {
		if err := w.notify.Add(folder); err != nil {
			return fmt.Errorf("watch %s: %w", folder, err)
		}
	}
	return nil
}

func (w *watcher) run(ctx context.Context) {
	defer w.notify.Close() //nolint:errcheck // nothing was written
	var first time.Time
	var finished <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-w.notify.Events:
			if !ok {
				return
			}
			if !counts(event) {
				continue
			}
			if finished == nil {
				first = time.Now()
			}
			finished = time.After(quiet)
		case _, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			// Events were lost, so everything counts as changed.
			if finished == nil {
				first = time.Now()
			}
			finished = time.After(quiet)
		case <-finished:
			finished = nil
			select {
			case w.saves <- first:
			default:
			}
		}
	}
}

// counts ignores files that do not go into a module: tests, and the files that editors keep
// beside a source. For the rest, the build finds out whether anything changed.
func counts(event fsnotify.Event) bool {
	name := filepath.Base(event.Name)
	return event.Op != fsnotify.Chmod &&
		!strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "#") && !strings.HasSuffix(name, "~") &&
		!strings.HasSuffix(name, "_test.go")
}
