// Package filesum computes the sha256 of files.
package filesum

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
)

// SHA256 returns the sha256 of a file in lowercase hex. open is os.Open or the
// method of an os.Root. The content is not held in memory, however large it is.
func SHA256(open func(name string) (*os.File, error), name string) (string, error) {
	file, err := open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
