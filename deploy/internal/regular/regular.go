// Package regular reads the files that a repository says something with: regular files, and
// small ones.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrOther says that a path names something else than a regular file.
var ErrOther = errors.New("not a regular file")

// ReadFile reads a regular file that has at most so many bytes. It follows no symlink: git
// stores where that leads and not what is there, and an error would show a line of any file of
// this machine. A FIFO has no end, and a device has no size.
func ReadFile(path string, most int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("read %s: it is a symlink, %w; put the file itself there", path, ErrOther)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: it is %w; put a file there", path, ErrOther)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	// The size may be wrong, as in /proc, and the file may grow.
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("read %s: it has more than the %d bytes that such a file may have", path, most)
	}
	return data, nil
}
