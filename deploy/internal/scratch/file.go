package scratch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/renameio/v2"
)

// NewFile begins a file that replaces path when it is complete, with the given permissions. Until
// then it stands beside path under the name .BASE and a number. close is called when the file is
// complete or given up; it removes what is not complete.
//
// NewFile first removes what killed processes left for the same path. While a process writes, it
// holds a lock (flock) on its file. Where files cannot be locked, nothing is removed.
func NewFile(path string, perm os.FileMode) (file *renameio.PendingFile, closeFile func() error, err error) {
	dir := filepath.Dir(path)
	sweepFiles(dir, "."+filepath.Base(path))
	for {
		file, err := renameio.NewPendingFile(path, renameio.WithPermissions(perm), renameio.IgnoreUmask(), renameio.WithTempDir(dir))
		if err != nil {
			return nil, nil, err
		}
		held, _ := lock(file.Name())
		// Before it was locked, another process may have taken it for a dead one's.
		if _, err := os.Lstat(file.Name()); errors.Is(err, fs.ErrNotExist) {
			_ = errors.Join(file.Close(), held.Close())
			continue
		}
		return file, func() error { return errors.Join(file.Cleanup(), held.Close()) }, nil
	}
}

// WriteFile replaces the file at path, which is the old one or the new one at any time, with the
// given permissions. It sweeps as NewFile does.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	file, closeFile, err := NewFile(path, perm)
	if err != nil {
		return err
	}
	if _, err = file.Write(data); err == nil {
		err = file.CloseAtomicallyReplace()
	}
	return errors.Join(err, closeFile())
}

// sweepFiles removes the files of a name and a number that nobody holds.
func sweepFiles(dir, prefix string) {
	entries, err := os.ReadDir(dir)
	if err != nil || runtime.GOOS == "windows" {
		return
	}
	for _, entry := range entries {
		number, ok := strings.CutPrefix(entry.Name(), prefix)
		if !ok || !entry.Type().IsRegular() || number == "" || strings.Trim(number, "0123456789") != "" {
			continue
		}
		removeDead(filepath.Join(dir, entry.Name()))
	}
}
