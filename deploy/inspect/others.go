package inspect

import (
	"encoding/binary"
	"slices"
)

// typeV128 is the value type of vectors.
//
// V8's C API, through which Envoy looks at what a module imports and exports, knows
// neither it nor tags, and ends the process: Envoy 1.36 to 1.40 do. Within a module
// both are fine.
const typeV128 = 0x7b

func (f function) hasV128() bool {
	return slices.Contains(f.params, typeV128) || slices.Contains(f.results, typeV128)
}

// The kinds of imports and exports.
//
// Reference: https://webassembly.github.io/spec/core/binary/modules.html#import-section
const (
	kindFunction = iota
	kindTable
	kindMemory
	kindGlobal
	kindTag
)

// checkOthers looks at what is imported and exported besides functions. Tables and
// memories Envoy makes as a module wants them; it offers no global. The module is
// valid.
func (r *Report) checkOthers(list []Section, contents [][]byte) error {
	var globals []byte // their types
	for i, section := range list {
		b := &reader{rest: contents[i]}
		switch section.Name {
		case sectionNames[sectionImport]:
			for n := b.number(); n > 0 && b.err == nil; n-- {
				module, name := b.name(), b.name()
				switch b.byte() {
				case kindFunction:
					b.number()
				case kindTable:
					b.byte()
					b.limits()
				case kindMemory:
					b.limits()
				case kindGlobal:
					globals = append(globals, b.byte())
					b.byte() // whether it can be changed
					r.problem("missing import: %s.%s: it is a global, and no Envoy offers one", module, name)
				case kindTag:
					b.byte()
					b.number()
					r.problem("import %s.%s is a tag: Envoy ends when it meets one there", module, name)
				}
			}
		case sectionNames[sectionGlobal]:
			for n := b.number(); n > 0 && b.err == nil; n-- {
				globals = append(globals, b.byte())
				b.byte()
				b.constant()
			}
		case sectionNames[sectionExport]:
			for n := b.number(); n > 0 && b.err == nil; n-- {
				name, kind, index := b.name(), b.byte(), b.number()
				if kind == kindGlobal && index < uint64(len(globals)) && globals[index] == typeV128 {
					r.problem("export %s is a global of type v128: Envoy ends when it meets one there", name)
				}
			}
		}
		if b.err != nil {
			return b.err
		}
	}
	return nil
}

// reader reads a section's content. After an error it reads zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) skip(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.rest, r.err = nil, errSections
		return nil
	}
	skipped := r.rest[:n]
	r.rest = r.rest[n:]
	return skipped
}

func (r *reader) byte() byte {
	if b := r.skip(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.rest, r.err = nil, errSections
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) name() string {
	name, rest, err := text(r.rest)
	if err != nil {
		rest, r.err = nil, err
	}
	r.rest = rest
	return name
}

// limits are the least size of a table or a memory and, if flagged, the most.
func (r *reader) limits() {
	most := r.byte()&1 != 0
	r.number()
	if most {
		r.number()
	}
}

// constant is a constant expression.
//
// Reference: https://webassembly.github.io/spec/core/valid/instructions.html#constant-expressions
func (r *reader) constant() {
	for r.err == nil {
		switch r.byte() {
		case 0x0b: // end
			return
		case 0x41, 0x42, 0x23, 0xd0, 0xd2: // i32.const, i64.const, global.get, ref.null, ref.func
			r.number()
		case 0x43: // f32.const
			r.skip(4)
		case 0x44: // f64.const
			r.skip(8)
		case 0xfd: // v128.const
			r.number()
			r.skip(16)
		}
	}
}
