// Package checksum computes sha256 sums in the form that filters' records, URLs and
// registries carry: 64 lower-case hex digits.
package checksum

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
)

// Bytes returns the sha256 of data.
func Bytes(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Reader returns the sha256 of the rest of r, and its length in bytes. It does not hold the
// content in memory. The error is r's.
func Reader(r io.Reader) (sum string, size int64, err error) {
	hash := sha256.New()
	if size, err = io.Copy(hash, r); err != nil {
		return "", size, err
	}
	return hex.EncodeToString(hash.Sum(nil)), size, nil
}

// File returns the sha256 of a file, as Reader does. open is os.Open or the method
// of an os.Root; its error is returned.
func File(open func(name string) (*os.File, error), name string) (string, error) {
	file, err := open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	sum, _, err := Reader(file)
	return sum, err
}
