package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	w, err := newWatcher(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	write := func(folder, name string) time.Time {
		t.Helper()
		before := time.Now()
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		return before
	}
	// saved fails unless the next save began after the given time.
	saved := func(after time.Time) {
		t.Helper()
		select {
		case began := <-w.saves:
			if began.Before(after) {
				t.Errorf("a save is seen that began %v before", after.Sub(began))
			}
		case <-time.After(time.Minute):
			t.Fatal("a save is not seen")
		}
	}
	if err := w.watch([]string{first}); err != nil {
		t.Fatal(err)
	}
	saved(write(first, "main.go"))
	// Changes that do not count, and those in a folder that is not watched, come first. If
	// they were reported, they would come first, too.
	write(first, "main_test.go")
	write(first, ".main.go.swp")
	write(first, "main.go~")
	write(second, "other.go")
	saved(write(first, "filter.yaml"))

	if err := w.watch([]string{second}); err != nil {
		t.Fatal(err)
	}
	if list := w.notify.WatchList(); !slices.Equal(list, []string{second}) {
		t.Errorf("watched is %q", list)
	}
	saved(write(second, "other.go"))
	if err := w.watch([]string{filepath.Join(second, "missing")}); err == nil {
		t.Error("a missing folder is watched")
	}
}
