package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// header is how a core module begins: its magic and its version.
//
// Reference: https://webassembly.github.io/spec/core/binary/modules.html#binary-module
const header = "\x00asm\x01\x00\x00\x00"

// foreign says what bytes are that do not begin like a core module; nil if they do.
func foreign(wasm []byte) error {
	const tarAt = 257
	switch {
	case bytes.HasPrefix(wasm, []byte(header)):
		return nil
	case len(wasm) == 0:
		return errors.New("it is empty")
	case bytes.HasPrefix(wasm, []byte(componentHeader)):
		return errComponent
	case strings.HasPrefix(header, string(wasm)):
		return fmt.Errorf("it is truncated at byte %d, within its header", len(wasm))
	case bytes.HasPrefix(wasm, []byte(header[:4])):
		return fmt.Errorf("its version is %x, and that of WebAssembly modules is 01000000", wasm[4:min(len(wasm), 8)])
	case bytes.HasPrefix(wasm, []byte("version https://git-lfs.github.com/spec/")):
		return errors.New(`it is a pointer of Git LFS and not the file itself; run "git lfs pull"`)
	case bytes.HasPrefix(wasm, []byte{0x1f, 0x8b}):
		return errors.New("it is compressed with gzip; unpack it")
	case bytes.HasPrefix(wasm, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return errors.New("it is compressed with zstd; unpack it")
	case bytes.HasPrefix(wasm, []byte("PK\x03\x04")):
		return errors.New("it is a zip archive; give the module in it")
	case len(wasm) >= tarAt+5 && string(wasm[tarAt:tarAt+5]) == "ustar":
		return errors.New("it is a tar archive; give the module in it")
	case strings.HasPrefix(http.DetectContentType(wasm), "text/html"):
		return errors.New("it is a page of HTML: a login or an error came in place of the module")
	}
	text := bytes.TrimSpace(wasm)
	if bytes.HasPrefix(text, []byte("(module")) || bytes.HasPrefix(text, []byte("(component")) || bytes.HasPrefix(text, []byte(";;")) {
		return errors.New("it is WebAssembly text; make a module of it, for example with wat2wasm")
	}
	return fmt.Errorf("it begins with %q, and a WebAssembly module with %q", wasm[:min(len(wasm), 8)], header)
}
