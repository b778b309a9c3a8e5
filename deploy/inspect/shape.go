package inspect

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// V8's limits for one module. Envoy hands the module to V8 unchanged.
//
// Reference: https://github.com/v8/v8/blob/main/src/wasm/wasm-limits.h
const (
	maxEntries      = 1_000_000  // of types, imports, functions, globals, exports
	maxTableEntries = 10_000_000 // in all tables, initially or at their maximum
	maxLocals       = 50_000     // of one function, without its parameters
	maxParameters   = 1_000      // of one function type; the same limit for results
	maxBody         = 7_654_321  // bytes of one function's code
)

// What wazero's reader takes for an entry, in bytes of memory: measured with a million bytes of
// the smallest entries of each kind, and rounded up.
const (
	costOfType     = 512
	costOfImport   = 256
	costOfFunction = 384
	costOfGlobal   = 256
	costOfExport   = 256
	costOfElement  = 72
	costOfData     = 96
)

// maxCode is the size in bytes of the code that is read. The interpreter takes up to 160 bytes
// of memory for each. A module with more code is described without it, and is not started.
const maxCode = 16 << 20

// Envoy gives a module no more memory than this, in pages of 64 KiB: 1 GiB.
//
// Reference: PROXY_WASM_HOST_MAX_WASM_MEMORY_SIZE_BYTES in
// https://github.com/proxy-wasm/proxy-wasm-cpp-host/blob/main/include/proxy-wasm/limits.h
const maxPages = 1 << 14

// typeV128 is the value type of vectors.
//
// Envoy looks at a module's imports and exports through V8's C API. That API knows neither
// vectors nor tags, and ends the process when it meets one: seen with Envoy 1.36 to 1.40.
// Within a module both are fine.
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

// shape is what a module has besides functions. It decides whether the module can be read and
// started, and how much memory that takes.
type shape struct {
	problems     []string // why Envoy would not load it
	pages        uint64   // of its own memory, initially
	shared       bool     // several threads share the memory
	importsOther bool     // an imported table or memory; Envoy makes the one that the module wants
	tables       []table  // its own
	globals      []byte   // the types of its globals, imported ones first
	locals       uint64   // of all functions
	cost         uint64   // of all entries, see costOfType
	code         int      // bytes of the code section
}

// table is the type of a table: the bytes before, within and after its limits.
type table struct {
	before, after []byte
	limits        limits
}

// limits are the minimum size of a table or a memory and, if flagged, the maximum.
type limits struct {
	flags       byte
	least, most uint64
}

// shapeOf reads a module's sections before any other reader does.
//
// A module announces how many entries follow. A reader that trusts the number and makes room
// for that many lets fifteen bytes fill the machine's memory; wazero's reader does. So shapeOf
// compares every count with the bytes that are there.
func shapeOf(list []Section, contents [][]byte) (*shape, error) {
	s := &shape{}
	total := 0
	for i, content := range contents {
		total += len(content)
		if list[i].Name == sectionNames[sectionCode] {
			s.code += len(content)
		}
	}
	// counted reads an entry after adding what it costs.
	counted := func(cost uint64, read func()) func() {
		return func() { s.cost += cost; read() }
	}
	for i, section := range list {
		read, ok := map[string]func(*reader){
			sectionNames[sectionType]:     func(b *reader) { b.each(maxEntries, func() { s.cost += costOfType * b.functionType() }) },
			sectionNames[sectionImport]:   func(b *reader) { b.each(maxEntries, counted(costOfImport, func() { s.readImport(b) })) },
			sectionNames[sectionFunction]: func(b *reader) { b.each(maxEntries, counted(costOfFunction, b.skipNumber)) },
			sectionNames[sectionTable]:    func(b *reader) { b.each(maxEntries, func() { s.readTable(b) }) },
			sectionNames[sectionMemory]:   func(b *reader) { b.each(maxEntries, func() { s.readMemory(b.limits()) }) },
			sectionNames[sectionGlobal]:   func(b *reader) { b.each(maxEntries, counted(costOfGlobal, func() { s.readGlobal(b); b.constant() })) },
			sectionNames[sectionExport]:   func(b *reader) { b.each(maxEntries, counted(costOfExport, func() { s.readExport(b) })) },
			sectionNames[sectionElement]: func(b *reader) {
				b.each(maxEntries, counted(costOfElement, func() { s.cost += costOfElement * b.element() }))
			},
			sectionNames[sectionCode]:      func(b *reader) { b.each(maxEntries, func() { s.readCode(b) }) },
			sectionNames[sectionData]:      func(b *reader) { b.each(maxEntries, counted(costOfData, b.data)) },
			sectionNames[sectionTag]:       func(b *reader) { b.each(maxEntries, func() { b.byte(); b.number() }) },
			sectionNames[sectionStart]:     (*reader).skipNumber,
			sectionNames[sectionDataCount]: (*reader).skipNumber,
		}[section.Name]
		if !ok {
			continue // a custom section, or one whose number is refused later
		}
		b := &reader{rest: contents[i]}
		if read(b); b.err != nil {
			return nil, fmt.Errorf("section %s: %w", section.Name, b.err)
		}
	}
	// Real compilers write code for each local. Without this limit, a few bytes can declare
	// 50000 locals, again and again.
	if s.locals > maxLocals+uint64(total) {
		return nil, fmt.Errorf("its functions have %d locals in %d bytes", s.locals, total)
	}
	if most := 32<<20 + 2*uint64(total); s.cost > most {
		return nil, fmt.Errorf("its types, functions and other entries would take %d bytes of memory, and for %d bytes no more than %d are used", s.cost, total, most)
	}
	return s, nil
}

func (s *shape) readImport(b *reader) {
	module, name := b.name(), b.name()
	switch b.byte() {
	case kindFunction:
		b.number()
	case kindTable:
		b.valueType()
		b.limits()
		s.importsOther = true
	case kindMemory:
		b.limits()
		s.importsOther = true
	case kindGlobal:
		s.readGlobal(b)
		s.problems = append(s.problems, fmt.Sprintf("missing import: %s.%s: it is a global, and no Envoy offers one", module, name))
	case kindTag:
		b.byte()
		b.number()
		s.problems = append(s.problems, fmt.Sprintf("import %s.%s is a tag: Envoy ends when it meets one there", module, name))
	default:
		b.fail(errSections)
	}
}

func (s *shape) readTable(b *reader) {
	start := b.rest
	initialized := b.byte() == 0x40
	if initialized {
		b.byte()
	} else {
		b.rest = start
	}
	b.valueType()
	t := table{before: b.since(start), limits: b.limits()}
	start = b.rest
	if initialized {
		b.constant()
	}
	t.after = b.since(start)
	s.tables = append(s.tables, t)
	var entries uint64
	for _, t := range s.tables {
		entries += t.limits.least
	}
	if entries > maxTableEntries {
		b.fail(fmt.Errorf("%d entries in tables, and Envoy's V8 takes no more than %d", entries, maxTableEntries))
	}
}

func (s *shape) readMemory(l limits) {
	s.pages = l.least
	s.shared = l.flags&2 != 0
}

func (s *shape) readGlobal(b *reader) {
	s.globals = append(s.globals, b.valueType())
	b.byte() // whether it can be changed
}

func (s *shape) readExport(b *reader) {
	name, kind, index := b.name(), b.byte(), b.number()
	if kind == kindGlobal && index < uint64(len(s.globals)) && s.globals[index] == typeV128 {
		s.problems = append(s.problems, fmt.Sprintf("export %s is a global of type v128: Envoy ends when it meets one there", name))
	}
}

func (s *shape) readCode(b *reader) {
	size := b.number()
	body := &reader{rest: b.skip(size)}
	if size > maxBody {
		body.fail(fmt.Errorf("a function with %d bytes of code, and Envoy's V8 takes no more than %d", size, maxBody))
	}
	var locals uint64
	body.each(maxLocals, func() {
		locals += body.number()
		body.valueType()
	})
	if locals > maxLocals {
		body.fail(fmt.Errorf("a function with %d locals, and Envoy's V8 takes no more than %d", locals, maxLocals))
	}
	s.locals += locals
	if b.err == nil {
		b.err = body.err
	}
}

// bounded returns the module without its custom sections, which are not needed to run it. It
// limits the growth of tables to V8's limit.
func (s *shape) bounded(header []byte, list []Section, contents [][]byte) []byte {
	module := slices.Clone(header)
	for i, section := range list {
		switch id := slices.Index(sectionNames, section.Name); {
		case section.custom():
		case id == sectionTable:
			module = appendSection(module, sectionTable, s.boundedTables())
		default: // of one that is unknown wazero says what is wrong with it
			module = appendSection(module, byte(id), contents[i])
		}
	}
	return module
}

// outline returns a module with the same imports, exports and types, in which every function
// traps.
func outline(header []byte, list []Section, contents [][]byte) []byte {
	module := slices.Clone(header)
	var functions uint64
	for i, section := range list {
		switch id := slices.Index(sectionNames, section.Name); {
		case id == sectionCode:
			code := binary.AppendUvarint(nil, functions)
			for range functions {
				code = append(code, 3, 0, 0x00, 0x0b) // 3 bytes: no locals, unreachable, end
			}
			module = appendSection(module, sectionCode, code)
		case section.custom() || id > sectionStart && id != sectionTag: // no host sees it
		case id == sectionFunction:
			functions, _ = binary.Uvarint(contents[i])
			fallthrough
		default:
			module = appendSection(module, byte(id), contents[i])
		}
	}
	return module
}

func (s *shape) boundedTables() []byte {
	section := binary.AppendUvarint(nil, uint64(len(s.tables)))
	for _, t := range s.tables {
		most := max(t.limits.least, maxTableEntries/uint64(len(s.tables)))
		if t.limits.flags&1 != 0 {
			most = min(most, t.limits.most)
		}
		section = append(append(section, t.before...), t.limits.flags|1)
		section = binary.AppendUvarint(binary.AppendUvarint(section, t.limits.least), most)
		section = append(section, t.after...)
	}
	return section
}

// reader reads the content of a section. After an error it reads zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = nil
}

// since returns the bytes that were read from start on.
func (r *reader) since(start []byte) []byte { return start[:len(start)-len(r.rest)] }

// each reads a number, and then as many entries.
func (r *reader) each(most uint64, read func()) {
	n := r.number()
	switch {
	case n > uint64(len(r.rest)): // each has a byte at least
		r.fail(fmt.Errorf("it is too short: it announces %d entries, and has %d bytes for them", n, len(r.rest)))
	case n > most:
		r.fail(fmt.Errorf("%d entries, and Envoy's V8 takes no more than %d", n, most))
	}
	for ; n > 0 && r.err == nil; n-- {
		read()
	}
}

func (r *reader) skip(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail(fmt.Errorf("it is too short: it announces %d bytes, and %d follow", n, len(r.rest)))
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

// number reads an unsigned number of at most 32 bits.
func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || size > binary.MaxVarintLen32 || n > math.MaxUint32 {
		r.fail(errSections)
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) skipNumber() { r.number() }

// skipSigned skips a signed number, or a type that is written as one.
func (r *reader) skipSigned() {
	for range binary.MaxVarintLen64 {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail(errSections)
}

func (r *reader) name() string {
	name, rest, err := text(r.rest)
	if err != nil {
		r.fail(err)
		return ""
	}
	r.rest = rest
	return name
}

// valueType returns the first byte of a type. Only a typed reference has more than one.
//
// Reference: https://webassembly.github.io/spec/core/binary/types.html#value-types
func (r *reader) valueType() byte {
	t := r.byte()
	if t == 0x63 || t == 0x64 {
		r.skipSigned()
	}
	return t
}

// functionType reads an entry of the type section, and returns how many types it has.
func (r *reader) functionType() (types uint64) {
	const alone, group = 0x60, 0x4e // or several types that refer to each other
	one := func() {
		r.each(maxParameters, func() { r.valueType() })
		r.each(maxParameters, func() { r.valueType() })
	}
	switch r.byte() {
	case alone:
		types = 1
		one()
	case group:
		r.each(maxEntries, func() {
			types++
			if r.byte() != alone {
				r.fail(errSections)
			}
			one()
		})
	default:
		r.fail(errSections)
	}
	return types
}

func (r *reader) limits() limits {
	l := limits{flags: r.byte(), least: r.number()}
	if l.flags&1 != 0 {
		l.most = r.number()
	}
	return l
}

// element reads an element segment, which fills a table. It returns how many elements there are.
//
// Reference: https://webassembly.github.io/spec/core/binary/modules.html#element-section
func (r *reader) element() (elements uint64) {
	const (
		passive     = 1 << iota // or declarative
		explicit                // the index of the table or, if passive, declarative
		expressions             // in place of the indexes of functions
	)
	flags := r.number()
	if flags&passive == 0 {
		if flags&explicit != 0 {
			r.number()
		}
		r.constant()
	}
	if flags&(passive|explicit) != 0 {
		r.valueType() // the type or the kind of the elements
	}
	if flags&expressions != 0 {
		r.each(maxTableEntries, func() { elements++; r.constant() })
	} else {
		r.each(maxTableEntries, func() { elements++; r.skipNumber() })
	}
	return elements
}

// data reads a data segment, which fills the memory.
func (r *reader) data() {
	const passive, explicit = 1, 2
	switch r.number() {
	case 0:
		r.constant()
	case passive:
	case explicit:
		r.number()
		r.constant()
	default:
		r.fail(errSections)
	}
	r.skip(r.number())
}

// constant reads a constant expression.
//
// Reference: https://webassembly.github.io/spec/core/valid/instructions.html#constant-expressions
func (r *reader) constant() {
	for r.err == nil {
		switch r.byte() {
		case 0x0b: // end
			return
		case 0x41, 0x42, 0x23, 0xd0, 0xd2: // i32.const, i64.const, global.get, ref.null, ref.func
			r.skipSigned()
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
