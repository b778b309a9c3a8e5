package inspect

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// File checks a module as Check does, but for the validity of its functions'
// bodies, and holds neither these nor its data in memory. It is for a module that
// Check has seen before and whose bytes may have been exchanged since.
func File(ctx context.Context, path string) (*Report, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("inspect module: %w", err)
	}
	defer func() { _ = file.Close() }()
	outline, err := outline(bufio.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("inspect module: not a valid WebAssembly module: %w", err)
	}
	return Check(ctx, outline)
}

// Sections of a module that are looked into.
//
// Reference: https://webassembly.github.io/spec/core/binary/modules.html#sections
const (
	sectionImport   = 2
	sectionFunction = 3
	sectionGlobal   = 6
	sectionExport   = 7
	sectionStart    = 8 // and all before it but custom ones: what a host sees
	sectionCode     = 10
	sectionData     = 11
	sectionTag      = 13 // a host sees it too; it stands between memory and global
)

// maxOutline bounds each section that outline keeps; those of real filters have a
// few kilobytes.
const maxOutline = 16 << 20

// outline returns a module with the same imports, exports and types, in which
// every function traps.
func outline(module *bufio.Reader) ([]byte, error) {
	out := make([]byte, 8)
	if _, err := io.ReadFull(module, out); err != nil {
		return nil, fmt.Errorf("read its header: %w", err)
	}
	var functions uint64
	for {
		id, err := module.ReadByte()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		size, err := binary.ReadUvarint(module)
		if err != nil {
			return nil, fmt.Errorf("read the size of section %d: %w", id, err)
		}
		if id == 0 || (id > sectionStart && id != sectionTag) {
			if skipped, err := io.CopyN(io.Discard, module, int64(min(size, 1<<40))); err != nil {
				return nil, fmt.Errorf("section %d ends after %d of %d bytes: %w", id, skipped, size, io.ErrUnexpectedEOF)
			}
			if id == sectionCode {
				out = appendSection(out, id, trapping(functions))
			}
			continue
		}
		if size > maxOutline {
			return nil, fmt.Errorf("section %d has %d bytes", id, size)
		}
		content := make([]byte, size)
		if n, err := io.ReadFull(module, content); err != nil {
			return nil, fmt.Errorf("section %d ends after %d of %d bytes: %w", id, n, size, io.ErrUnexpectedEOF)
		}
		if id == sectionFunction {
			functions, _ = binary.Uvarint(content)
			if functions > size {
				return nil, fmt.Errorf("section %d lists %d functions in %d bytes", id, functions, size)
			}
		}
		out = appendSection(out, id, content)
	}
}

func appendSection(module []byte, id byte, content []byte) []byte {
	return append(binary.AppendUvarint(append(module, id), uint64(len(content))), content...)
}

// trapping is the content of a code section with n functions.
func trapping(n uint64) []byte {
	code := binary.AppendUvarint(nil, n)
	for range n {
		code = append(code, 3, 0, 0x00, 0x0b) // 3 bytes: no locals, unreachable, end
	}
	return code
}
