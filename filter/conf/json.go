package conf

import (
	"errors"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds nesting, and with it the stack of the recursive parser: a
// TinyGo module has 64 KiB of stack. The deepest shipped configuration needs 4.
const maxDepth = 32

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// noun is what messages call a value of this kind.
func (k kind) noun() string {
	switch k {
	case kindNull:
		return "null"
	case kindBool:
		return "a boolean"
	case kindNumber:
		return "a number"
	case kindString:
		return "a string"
	case kindArray:
		return "an array"
	default:
		return "an object"
	}
}

// value is one JSON value. Which members count depends on kind: text is the
// decoded string, or the literal of a number or boolean.
type value struct {
	kind   kind
	text   string
	items  []value
	fields []field
}

type field struct {
	name  string
	value value
}

// parser is a recursive descent over RFC 8259. The first problem found wins.
type parser struct {
	src string
	pos int
	err error
}

// parse reads one JSON text whose top is an object.
func parse(src string) ([]field, error) {
	p := &parser{src: src}
	if len(src) >= 3 && src[:3] == "\xef\xbb\xbf" {
		// RFC 8259 section 8.1: a JSON text must not start with a byte order mark.
		p.fail(0, "the configuration starts with a byte order mark; save it as UTF-8 without BOM")
		return nil, p.err
	}
	p.space()
	if p.pos == len(src) {
		return nil, nil
	}
	if c := src[p.pos]; c != '{' {
		p.fail(p.pos, "the configuration is not a JSON object; put the fields between { and }")
		return nil, p.err
	}
	v := p.value(1)
	p.space()
	if p.err == nil && p.pos < len(src) {
		p.fail(p.pos, "unexpected "+p.here()+" after the configuration; remove what follows the closing }")
	}
	if p.err != nil {
		return nil, p.err
	}
	return v.fields, nil
}

// fail records a problem at the byte offset at.
func (p *parser) fail(at int, problem string) {
	if p.err != nil {
		return
	}
	line, column := 1, 1
	for _, r := range p.src[:at] {
		if r == '\n' {
			line, column = line+1, 0
		}
		column++
	}
	p.err = errors.New("line " + strconv.Itoa(line) + ", column " + strconv.Itoa(column) + ": " + problem)
}

// here names what stands at the current position.
func (p *parser) here() string {
	if p.pos >= len(p.src) {
		return "end of the configuration"
	}
	_, n := utf8.DecodeRuneInString(p.src[p.pos:])
	return Quote(p.src[p.pos : p.pos+n])
}

func (p *parser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// next skips white space and returns the byte that follows, 0 at the end. (Valid text
// holds no NUL, so the two need not be told apart.)
func (p *parser) next() byte {
	p.space()
	if p.pos >= len(p.src) {
		return 0
	}
	return p.src[p.pos]
}

func (p *parser) value(depth int) value {
	c := p.next()
	switch {
	case c == '{' || c == '[':
		if depth > maxDepth {
			p.fail(p.pos, "nested deeper than "+strconv.Itoa(maxDepth)+" levels; flatten the configuration")
			return value{}
		}
		if c == '{' {
			return p.object(depth)
		}
		return p.array(depth)
	case c == '"':
		return value{kind: kindString, text: p.string()}
	case c == '-' || c == '+' || c == '.' || '0' <= c && c <= '9':
		return value{kind: kindNumber, text: p.number()}
	case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
		return p.word()
	case c == '\'':
		p.fail(p.pos, "a string in single quotes; write it in double quotes")
	case c == '/' || c == '#':
		p.fail(p.pos, "JSON has no comments; remove this one")
	case c == ',' || c == ']' || c == '}':
		p.fail(p.pos, "a value is missing before "+p.here()+"; add it, or remove the comma before it")
	default:
		p.fail(p.pos, "unexpected "+p.here()+"; a value belongs here")
	}
	return value{}
}

func (p *parser) object(depth int) value {
	v := value{kind: kindObject}
	p.pos++
	if p.next() == '}' {
		p.pos++
		return v
	}
	for p.err == nil {
		switch p.next() {
		case '"':
		case '}':
			p.fail(p.pos, "a comma before }; remove the comma")
			return v
		case '/', '#':
			p.fail(p.pos, "JSON has no comments; remove this one")
			return v
		default:
			p.fail(p.pos, "unexpected "+p.here()+"; a field name in double quotes belongs here")
			return v
		}
		at := p.pos
		name := p.string()
		for i := range v.fields {
			if v.fields[i].name == name {
				p.fail(at, "field "+Quote(name)+" appears twice; keep one")
			}
		}
		if p.next() != ':' {
			p.fail(p.pos, "unexpected "+p.here()+" after the field name "+Quote(name)+"; put a : between name and value")
			return v
		}
		p.pos++
		v.fields = append(v.fields, field{name, p.value(depth + 1)})
		if p.closes('}', "field "+Quote(name)) {
			return v
		}
	}
	return v
}

func (p *parser) array(depth int) value {
	v := value{kind: kindArray}
	p.pos++
	if p.next() == ']' {
		p.pos++
		return v
	}
	for p.err == nil {
		if p.next() == ']' {
			p.fail(p.pos, "a comma before ]; remove the comma")
			return v
		}
		v.items = append(v.items, p.value(depth+1))
		if p.closes(']', "element "+strconv.Itoa(len(v.items)-1)) {
			return v
		}
	}
	return v
}

// closes reads what follows a member: a comma, or the bracket that ends the
// list. It returns true when the list is over.
func (p *parser) closes(bracket byte, after string) bool {
	if p.err != nil {
		return true
	}
	switch p.next() {
	case bracket:
		p.pos++
		return true
	case ',':
		p.pos++
		return false
	}
	p.fail(p.pos, "unexpected "+p.here()+" after "+after+"; put a comma or a closing "+string(rune(bracket)))
	return true
}

func (p *parser) word() value {
	at := p.pos
	for p.pos < len(p.src) && isWordChar(p.src[p.pos]) {
		p.pos++
	}
	switch word := p.src[at:p.pos]; word {
	case "null":
		return value{kind: kindNull}
	case "true", "false":
		return value{kind: kindBool, text: word}
	default:
		p.fail(at, "unexpected "+Quote(word)+"; write true, false, or a string in double quotes")
		return value{}
	}
}

// isWordChar reports whether c is a letter, a digit or an underscore.
func isWordChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || '0' <= c && c <= '9'
}

// number returns the literal of a number, RFC 8259 section 6.
func (p *parser) number() string {
	at := p.pos
	p.skip('-')
	first := p.pos
	whole := p.digits()
	ok := whole == 1 || whole > 1 && p.src[first] != '0'
	if p.skip('.') {
		ok = p.digits() > 0 && ok
	}
	if p.skip('e') || p.skip('E') {
		if !p.skip('+') {
			p.skip('-')
		}
		ok = p.digits() > 0 && ok
	}
	if !ok {
		p.fail(at, "malformed number; write it like 5, -5, 0.5 or 1e3")
	}
	return p.src[at:p.pos]
}

func (p *parser) skip(c byte) bool {
	if p.pos < len(p.src) && p.src[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) digits() (n int) {
	for p.pos < len(p.src) && '0' <= p.src[p.pos] && p.src[p.pos] <= '9' {
		p.pos++
		n++
	}
	return n
}

// string reads a string from its opening quote on and returns it decoded. Without
// an escape in it, the result is a slice of the source.
func (p *parser) string() string {
	open := p.pos
	p.pos++
	start := p.pos
	var decoded []byte
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == '"':
			plain := p.src[start:p.pos]
			p.pos++
			if decoded == nil {
				return plain
			}
			return string(append(decoded, plain...))
		case c == '\\':
			decoded = append(decoded, p.src[start:p.pos]...)
			r := p.escape()
			if p.err != nil {
				return ""
			}
			decoded = utf8.AppendRune(decoded, r)
			start = p.pos
		case c < ' ':
			p.fail(p.pos, "a raw control character in a string; write it as \\u00"+hexByte(c)+", or close the string")
			return ""
		case c < utf8.RuneSelf:
			p.pos++
		default:
			r, n := utf8.DecodeRuneInString(p.src[p.pos:])
			if r == utf8.RuneError && n == 1 {
				p.fail(p.pos, "invalid UTF-8; save the configuration as UTF-8")
				return ""
			}
			p.pos += n
		}
	}
	p.fail(open, "a string without end; close it with a double quote")
	return ""
}

// escape reads one escape sequence, RFC 8259 section 7. Half a surrogate pair is
// refused: it stands for no character.
func (p *parser) escape() rune {
	at := p.pos
	p.pos++
	if p.pos < len(p.src) {
		c := p.src[p.pos]
		p.pos++
		switch c {
		case '"', '\\', '/':
			return rune(c)
		case 'b':
			return '\b'
		case 'f':
			return '\f'
		case 'n':
			return '\n'
		case 'r':
			return '\r'
		case 't':
			return '\t'
		case 'u':
			r := p.hex4()
			if 0xD800 <= r && r <= 0xDBFF && p.skip('\\') && p.skip('u') {
				if low := p.hex4(); 0xDC00 <= low && low <= 0xDFFF {
					return (r-0xD800)<<10 + (low - 0xDC00) + 0x10000
				}
			}
			if r < 0 || 0xD800 <= r && r <= 0xDFFF {
				p.fail(at, `malformed \u escape; write \u and four hexadecimal digits, or the character itself`)
			}
			return r
		}
	}
	p.fail(at, `unknown escape in a string; write a backslash as \\`)
	return 0
}

// hex4 returns the value of four hexadecimal digits, or -1.
func (p *parser) hex4() rune {
	if len(p.src)-p.pos < 4 {
		return -1
	}
	var r rune
	for _, c := range []byte(p.src[p.pos : p.pos+4]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	p.pos += 4
	return r
}
