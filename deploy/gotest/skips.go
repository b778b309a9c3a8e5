package gotest

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
)

// event is one line of "go test -json": https://pkg.go.dev/cmd/test2json
type event struct {
	Action, Package, Test string
}

// skips lists the skipped tests in a file of such lines. A package without tests is reported
// as skipped, too, but without the name of a test; it does not count.
func skips(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var skipped []string
	decoder := json.NewDecoder(bufio.NewReader(f))
	for {
		var e event
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) {
			return skipped, nil
		}
		if err != nil {
			return nil, err
		}
		if e.Action == "skip" && e.Test != "" {
			skipped = append(skipped, e.Package+"."+e.Test)
		}
	}
}
