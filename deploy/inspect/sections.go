package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Section is a part of a module.
type Section struct {
	// Name is the specification's name for the section. For a custom section it is "custom"
	// and the section's own name.
	Name string `json:"name"`
	// Size is the size of the content in bytes.
	Size int64 `json:"size"`
}

// custom reports whether s is a custom section.
func (s Section) custom() bool { return strings.HasPrefix(s.Name, "custom ") }

// sectionNames are the sections by id.
//
// Reference: https://webassembly.github.io/spec/core/binary/modules.html#sections
var sectionNames = []string{
	"custom", "type", "import", "function", "table", "memory", "global",
	"export", "start", "element", "code", "data", "data count", "tag",
}

var (
	errSections  = errors.New("its sections cannot be read")
	errComponent = errors.New("it is a WebAssembly component, which no proxy takes; build a core module")
)

// componentHeader is the header of a component; a module has another.
//
// Reference: https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md
const componentHeader = "\x00asm\x0d\x00\x01\x00"

// sections lists a module's sections in their order, with the content of each.
func sections(wasm []byte) (list []Section, contents [][]byte, err error) {
	if err := foreign(wasm); err != nil {
		return nil, nil, err
	}
	for rest := wasm[8:]; len(rest) > 0; {
		id := rest[0]
		size, n := binary.Uvarint(rest[1:])
		switch {
		case n < 0:
			return nil, nil, errSections
		case n == 0 || size > uint64(len(rest)-1-n):
			return nil, nil, fmt.Errorf("it is truncated at byte %d: the section that begins at byte %d goes on after it", len(wasm), len(wasm)-len(rest))
		}
		content := rest[1+n:][:size]
		rest = rest[1+n:][size:]
		name := fmt.Sprintf("section %d", id)
		if int(id) < len(sectionNames) {
			name = sectionNames[id]
		}
		if id == 0 {
			own, _, err := text(content)
			if err != nil {
				return nil, nil, err
			}
			name += " " + own
		}
		list = append(list, Section{Name: name, Size: int64(size)})
		contents = append(contents, content)
	}
	return list, contents, nil
}

// text reads a name, and returns it with the bytes after it.
func text(b []byte) (string, []byte, error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return "", nil, errSections
	}
	return strings.ToValidUTF8(string(b[n:][:size]), "?"), b[n:][size:], nil
}

// producers reads the producers section: the tools that made the module, by field, each as
// "name version". If the section is cut off, it reads what is there.
//
// Reference: https://github.com/WebAssembly/tool-conventions/blob/main/ProducersSection.md
func producers(list []Section, contents [][]byte) map[string][]string {
	made := map[string][]string{}
	i := slices.IndexFunc(list, func(s Section) bool { return s.Name == "custom producers" })
	if i < 0 {
		return made
	}
	b := &reader{rest: contents[i]}
	b.name() // of the section
	for fields := b.number(); fields > 0 && b.err == nil; fields-- {
		field := b.name()
		for values := b.number(); values > 0 && b.err == nil; values-- {
			if name, version := b.name(), b.name(); b.err == nil {
				made[field] = append(made[field], strings.TrimSpace(name+" "+version))
			}
		}
	}
	return made
}
