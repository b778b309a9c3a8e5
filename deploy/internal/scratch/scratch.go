// Package scratch makes temporary folders of which nothing stays for ever: what a killed process
// left, the next one that makes such a folder removes.
package scratch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/gofrs/flock"
)

// Dir makes a new folder in parent, whose name begins with prefix. An empty parent is a folder
// of this user in the system's folder for temporary files. remove removes the new folder with
// its content. A caller that keeps the content, such as the logs of a failure, does not call it.
//
// Dir first removes the folders of the same prefix that belong to no living process. While a
// process lives, it holds a lock (flock) on its folder, which the system releases however the
// process ends. Where a folder cannot be locked, as on Windows and on some network file systems,
// nothing is removed.
func Dir(parent, prefix string) (dir string, remove func() error, err error) {
	if parent == "" {
		parent = filepath.Join(os.TempDir(), fmt.Sprintf("slipway-%d", os.Getuid()))
		if err := own(parent); err != nil {
			return "", nil, fmt.Errorf("make a temporary folder: %w", err)
		}
	}
	// Between making a folder and locking it, nobody may take it for a dead one.
	all, locked := lock(parent)
	if locked {
		defer func() { _ = all.Close() }()
		sweep(parent, prefix)
	}
	if dir, err = os.MkdirTemp(parent, prefix); err != nil {
		return "", nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	held, _ := lock(dir)
	locks.Store(dir, held)
	return dir, func() error {
		locks.Delete(dir)
		return errors.Join(os.RemoveAll(dir), held.Close())
	}, nil
}

// locks has the locks that are held. A file that nothing refers to is closed by the garbage
// collector, and its lock with it.
var locks sync.Map

// own makes a folder that only this user can use. Somebody else may have made one of that name
// before, to read or replace what is written into it.
func own(dir string) error {
	if err := os.Mkdir(dir, 0o700); err == nil || !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || !mine(info) {
		return fmt.Errorf("%s belongs to somebody else, or others can use it; remove it, or set TMPDIR to another folder", dir)
	}
	return nil
}

// lock locks a file or folder, and reports whether it did. For the parent it waits.
func lock(dir string) (*flock.Flock, bool) {
	l := flock.New(dir, flock.SetFlag(os.O_RDONLY))
	if runtime.GOOS == "windows" {
		return l, false
	}
	return l, l.Lock() == nil
}

// sweep removes the folders that nobody holds. What cannot be removed stays for the next time.
func sweep(parent, prefix string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), prefix) {
			continue
		}
		removeDead(filepath.Join(parent, entry.Name()))
	}
}

// removeDead removes a file or folder unless somebody holds it.
func removeDead(path string) {
	l := flock.New(path, flock.SetFlag(os.O_RDONLY))
	if dead, err := l.TryLock(); err == nil && dead {
		_ = os.RemoveAll(path)
	}
	_ = l.Close()
}
