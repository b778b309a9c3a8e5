package vmtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	commandStart = "_start"
	reactorStart = "_initialize"

	// exportSection is the id of the export section.
	// https://webassembly.github.io/spec/core/binary/modules.html#sections
	exportSection = 7
)

var errTruncated = errors.New("truncated module")

// startable returns the module with its start function under the name that
// proxytest calls.
//
// With -buildmode=c-shared both compilers build a WASI reactor, which exports
// _initialize; a WASI command exports _start
// (https://github.com/WebAssembly/WASI/blob/main/legacy/application-abi.md).
// Envoy calls whichever is there. proxytest leaves the start functions of wazero at
// their default, which is _start alone, and offers no way to change it, so it would
// never initialise a reactor's runtime. Renaming that one export, in memory, is the
// smallest change that makes the built module itself run: all its code and data stay
// the same. A module that has _start is returned as it is.
func startable(module []byte) ([]byte, error) {
	if len(module) < 8 || string(module[:4]) != "\x00asm" {
		return nil, errors.New("not a WebAssembly module")
	}
	for at := 8; at < len(module); {
		id := module[at]
		size, n := binary.Uvarint(module[at+1:])
		start := at + 1 + n
		if n <= 0 || size > uint64(len(module)-start) {
			return nil, fmt.Errorf("section at byte %d: %w", at, errTruncated)
		}
		end := start + int(size)
		if id == exportSection {
			section, err := renameStart(module[start:end])
			if err != nil {
				return nil, fmt.Errorf("export section: %w", err)
			}
			out := append([]byte{}, module[:at+1]...)
			out = binary.AppendUvarint(out, uint64(len(section)))
			out = append(out, section...)
			return append(out, module[end:]...), nil
		}
		at = end
	}
	return nil, errors.New("the module has no exports")
}

// renameStart returns the content of an export section with _initialize called
// _start, unless there is a _start.
// https://webassembly.github.io/spec/core/binary/modules.html#export-section
func renameStart(section []byte) ([]byte, error) {
	r := bytes.NewReader(section)
	count, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, errTruncated
	}
	out := binary.AppendUvarint(nil, count)
	for ; count > 0; count-- {
		size, err := binary.ReadUvarint(r)
		if err != nil || size > uint64(r.Len()) {
			return nil, errTruncated
		}
		name := make([]byte, size)
		_, _ = r.Read(name)
		kind, err := r.ReadByte()
		if err != nil {
			return nil, errTruncated
		}
		index, err := binary.ReadUvarint(r)
		if err != nil {
			return nil, errTruncated
		}
		switch string(name) {
		case commandStart:
			return section, nil
		case reactorStart:
			name = []byte(commandStart)
		}
		out = binary.AppendUvarint(out, uint64(len(name)))
		out = append(out, name...)
		out = append(out, kind)
		out = binary.AppendUvarint(out, index)
	}
	return out, nil
}
