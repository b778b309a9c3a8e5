package inspect

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// File does what Check does for a module in a file. It does not hold custom sections in
// memory: they are not needed to run the module, and debug information can be large.
func File(ctx context.Context, path string, opts StartOptions) (*Report, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("inspect module: %w", err)
	}
	defer func() { _ = file.Close() }()
	wasm, err := withoutCustom(bufio.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("inspect module: not a valid WebAssembly module: %w", err)
	}
	return Check(ctx, wasm, opts)
}

// Ids of the sections that the inspection reads.
//
// Reference: https://webassembly.github.io/spec/core/binary/modules.html#sections
const (
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8 // and all before it but custom ones: what a host sees
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
	sectionTag       = 13 // a host sees it too; it stands between memory and global
)

// withoutCustom reads a module and skips its custom sections.
func withoutCustom(module *bufio.Reader) ([]byte, error) {
	beginning, _ := module.Peek(512) // of a shorter file, all that is there
	if err := foreign(beginning); err != nil {
		return nil, err
	}
	var out bytes.Buffer // it grows with the bytes that are there, not with the size that a section announces
	if _, err := io.CopyN(&out, module, 8); err != nil {
		return nil, fmt.Errorf("read its header: %w", err)
	}
	for {
		id, err := module.ReadByte()
		if errors.Is(err, io.EOF) {
			return out.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		size, err := binary.ReadUvarint(module)
		if err != nil {
			return nil, fmt.Errorf("read the size of section %d: %w", id, err)
		}
		to := io.Discard
		if id != 0 {
			_, _ = out.Write(binary.AppendUvarint([]byte{id}, size))
			to = &out
		}
		if n, err := io.CopyN(to, module, int64(min(size, 1<<40))); err != nil {
			return nil, fmt.Errorf("section %d ends after %d of %d bytes: %w", id, n, size, io.ErrUnexpectedEOF)
		}
		if out.Len() > maxModule {
			return nil, fmt.Errorf("it has more than the %d bytes that proxies read", maxModule)
		}
	}
}

func appendSection(module []byte, id byte, content []byte) []byte {
	return append(binary.AppendUvarint(append(module, id), uint64(len(content))), content...)
}
