// Package wasmtest makes small valid WebAssembly modules for tests. They have only the imports
// and exports that a test needs, which no compiler would produce.
package wasmtest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// Func is an imported or exported function. Signature is written as parameters,
// colon, results, where i is i32, I is i64, f is f32 and v is v128: "iI:i".
type Func struct {
	Module    string // of an import
	Name      string
	Signature string
	// Code is the body of an export: instructions that leave its results on the stack, without
	// the end. If Code is nil, the export does nothing and returns 1 for each result, which is
	// "true" to the host.
	Code []byte
}

// Instructions for Func.Code.
//
// Reference: https://webassembly.github.io/spec/core/binary/instructions.html
var (
	Unreachable = []byte{0x00}
	False       = []byte{0x41, 0}                   // i32.const 0
	True        = []byte{0x41, 1}                   // i32.const 1
	Endless     = []byte{0x03, 0x40, 0x0c, 0, 0x0b} // loop, br 0, end
)

// Call calls the i-th import with zeros, and drops what it returns.
func Call(i int, f Func) []byte {
	params, results, _ := strings.Cut(f.Signature, ":")
	var code []byte
	for _, p := range params {
		code = append(code, zero[p]...)
	}
	code = append(append(code, 0x10), uvarint(uint64(i))...)
	return append(code, bytes.Repeat([]byte{0x1a}, len(results))...) // drop
}

// zero pushes a zero of each type.
var zero = map[rune][]byte{
	'i': {0x41, 0},
	'I': {0x42, 0},
	'f': {0x43, 0, 0, 0, 0},
	'v': zeroVector,
}

// Options says what a module has.
type Options struct {
	Imports []Func
	Exports []Func
	// Others are imports that are not functions.
	Others []Other
	// NoMemory leaves out the exported memory.
	NoMemory bool
	// Pages is the initial size of the memory in pages of 64 KiB. Default: 1.
	Pages int
	// Start makes the n-th export, counted from 1, the start function. 0: none.
	Start int
	// Tag declares a tag, a part of the exceptions that came after WebAssembly 2.0.
	Tag bool
	// VectorGlobal exports a global of type v128.
	VectorGlobal bool
	// Data is the initial content of the memory.
	Data string
	// Custom is the content of a custom section, to make modules differ.
	Custom string
}

// Other is an imported table, memory, global or tag. Kind is its description.
type Other struct {
	Module, Name string
	Kind         []byte
}

// Kinds of Other. The tag has the type of Filter's first export, which takes and returns
// nothing, as long as the module imports no functions.
var (
	Table  = []byte{0x01, 0x70, 0x00, 1} // of one function
	Memory = []byte{0x02, 0x00, 1}       // of one page
	Global = []byte{0x03, 0x7f, 0x00}    // an i32 that does not change
	Tag    = []byte{0x04, 0x00, 0}
)

// Filter returns the options of the smallest module that Envoy loads.
func Filter() Options {
	return Options{Exports: []Func{
		{Name: "_initialize", Signature: ":"},
		{Name: "proxy_abi_version_0_2_0", Signature: ":"},
		{Name: "proxy_on_memory_allocate", Signature: "i:i"},
		{Name: "proxy_on_context_create", Signature: "ii:"},
	}}
}

// Encode returns the module's bytes.
//
// Reference: https://webassembly.github.io/spec/core/binary/modules.html
func Encode(o Options) []byte {
	var types, imports, functions, exports, codes [][]byte
	for i, f := range slices.Concat(o.Imports, o.Exports) {
		types = append(types, functionType(f.Signature))
		index := uvarint(uint64(i))
		if i < len(o.Imports) {
			imports = append(imports, slices.Concat(name(f.Module), name(f.Name), []byte{0x00}, index))
			continue
		}
		functions = append(functions, index)
		exports = append(exports, slices.Concat(name(f.Name), []byte{0x00}, index))
		codes = append(codes, body(f))
	}
	for _, other := range o.Others {
		imports = append(imports, slices.Concat(name(other.Module), name(other.Name), other.Kind))
	}
	if !o.NoMemory {
		exports = append(exports, slices.Concat(name("memory"), []byte{0x02, 0}))
	}
	if o.VectorGlobal {
		exports = append(exports, slices.Concat(name("vector"), []byte{0x03, 0}))
	}
	module := []byte("\x00asm\x01\x00\x00\x00")
	module = append(module, section(1, vector(types))...)
	module = append(module, section(2, vector(imports))...)
	module = append(module, section(3, vector(functions))...)
	if !o.NoMemory {
		module = append(module, section(5, append([]byte{1, 0x00}, uvarint(uint64(max(o.Pages, 1)))...))...)
	}
	if o.Tag {
		module = append(module, section(13, []byte{1, 0x00, byte(len(o.Imports))})...)
	}
	if o.VectorGlobal {
		module = append(module, section(6, slices.Concat([]byte{1, 0x7b, 0x00}, zeroVector, []byte{0x0b}))...)
	}
	module = append(module, section(7, vector(exports))...)
	if o.Start > 0 {
		module = append(module, section(8, uvarint(uint64(len(o.Imports)+o.Start-1)))...)
	}
	module = append(module, section(10, vector(codes))...)
	if o.Data != "" {
		module = append(module, section(11, slices.Concat([]byte{1, 0x00, 0x41, 0, 0x0b}, name(o.Data)))...)
	}
	if o.Custom != "" {
		module = append(module, section(0, slices.Concat(name("test"), []byte(o.Custom)))...)
	}
	return module
}

func functionType(signature string) []byte {
	params, results, _ := strings.Cut(signature, ":")
	side := func(letters string) []byte {
		b := uvarint(uint64(len(letters)))
		for _, l := range letters {
			b = append(b, map[rune]byte{'i': 0x7f, 'I': 0x7e, 'f': 0x7d, 'v': 0x7b}[l])
		}
		return b
	}
	return slices.Concat([]byte{0x60}, side(params), side(results))
}

// zeroVector is v128.const 0.
var zeroVector = append([]byte{0xfd, 0x0c}, make([]byte, 16)...)

func body(f Func) []byte {
	_, results, _ := strings.Cut(f.Signature, ":")
	code := []byte{0} // no locals
	if f.Code != nil {
		results = ""
		code = append(code, f.Code...)
	}
	for _, r := range results {
		code = append(code, map[rune][]byte{
			'i': {0x41, 1},                // i32.const 1
			'I': {0x42, 1},                // i64.const 1
			'f': {0x43, 0, 0, 0x80, 0x3f}, // f32.const 1
			'v': zeroVector,
		}[r]...)
	}
	code = append(code, 0x0b) // end
	return append(uvarint(uint64(len(code))), code...)
}

func section(id byte, content []byte) []byte {
	return slices.Concat([]byte{id}, uvarint(uint64(len(content))), content)
}

func vector(items [][]byte) []byte {
	return append(uvarint(uint64(len(items))), slices.Concat(items...)...)
}

func name(s string) []byte { return append(uvarint(uint64(len(s))), s...) }

func uvarint(n uint64) []byte { return binary.AppendUvarint(nil, n) }
