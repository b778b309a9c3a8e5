package conf

import (
	"errors"
	"slices"
	"strconv"
	"time"
)

// Pair is one name with one value, for instance a header.
type Pair struct{ Name, Value string }

// Object reads the fields of one JSON object into variables. A field that is
// absent leaves its variable, which holds the default, as it is. The first
// problem is kept, and [Object.Err] returns it; a field with a problem leaves its
// variable as it is, too. Messages name a field by its path, such as
// "response.add" or "hosts[2]".
type Object struct {
	doc    *document
	path   string // of the object itself, "" at the top
	fields []field
	known  []string  // every name asked for, in order
	inner  []*Object // every object handed out
}

// document is what all objects of one configuration share.
type document struct {
	top *Object
	err error
}

// ParseObject parses data as one JSON object, strictly by RFC 8259: no comments, no
// trailing commas. It also refuses a field that appears twice, text that is not UTF-8,
// half a surrogate pair, and nesting deeper than 32 levels. Empty data, or only white
// space, is an object without fields. The error is one line that starts with the place,
// such as "line 3, column 5: ".
func ParseObject(data []byte) (*Object, error) {
	fields, err := parse(string(data))
	if err != nil {
		return nil, err
	}
	doc := &document{}
	doc.top = &Object{doc: doc, fields: fields}
	return doc.top, nil
}

// Err returns the first problem met while reading any object of this configuration. If
// there was none, it looks for a field, anywhere in the configuration, that nobody
// asked for; that error also names the field that was probably meant. Call Err once,
// after reading everything. The message is one line.
func (o *Object) Err() error {
	if o.doc.err == nil {
		o.doc.top.checkUnknown()
	}
	return o.doc.err
}

// checkUnknown records the first field nobody asked for.
func (o *Object) checkUnknown() {
	for i := range o.fields {
		name := o.fields[i].name
		if slices.Contains(o.known, name) {
			continue
		}
		problem := "unknown field " + Quote(name)
		if near := nearest(name, o.known); near != "" {
			problem += ": did you mean " + Quote(near) + "?"
		} else {
			problem += "; write " + list(o.known) + ", or remove it"
		}
		o.doc.fail(o.path, problem)
		return
	}
	for _, inner := range o.inner {
		inner.checkUnknown()
	}
}

// Fail records a problem of the field name, for instance one that shows only
// when two fields are compared. problem should say what is wrong and what to
// write instead. An empty name stands for the object itself.
func (o *Object) Fail(name, problem string) {
	o.doc.fail(o.at(name), problem)
}

// Has reports whether the field is there.
func (o *Object) Has(name string) bool {
	return o.field(name) != nil
}

// String reads a string.
func (o *Object) String(name string, dst *string) {
	if v := o.field(name); v != nil && o.is(o.at(name), v, kindString) {
		*dst = v.text
	}
}

// OneOf reads a string that has to be one of the allowed ones.
func (o *Object) OneOf(name string, dst *string, allowed ...string) {
	v := o.field(name)
	if v == nil || !o.is(o.at(name), v, kindString) {
		return
	}
	if !slices.Contains(allowed, v.text) {
		o.Fail(name, Quote(v.text)+" is none of the choices; write "+list(allowed))
		return
	}
	*dst = v.text
}

// Bool reads true or false.
func (o *Object) Bool(name string, dst *bool) {
	if v := o.field(name); v != nil && o.is(o.at(name), v, kindBool) {
		*dst = v.text == "true"
	}
}

// Int reads a whole number from min to max, both included, written without
// fraction and exponent.
func (o *Object) Int(name string, dst *int, min, max int) {
	v := o.field(name)
	if v == nil {
		return
	}
	n, err := strconv.Atoi(v.text)
	if v.kind != kindNumber || err != nil || n < min || n > max {
		o.Fail(name, v.show()+" does not fit; write a whole number from "+strconv.Itoa(min)+" to "+strconv.Itoa(max))
		return
	}
	*dst = n
}

// Duration reads a duration from min to max, both included, in Go's notation:
// "5s", "1m30s", "250ms". A number without a unit is refused.
func (o *Object) Duration(name string, dst *time.Duration, min, max time.Duration) {
	v := o.field(name)
	if v == nil {
		return
	}
	if v.kind == kindNumber {
		o.Fail(name, v.show()+" has no unit; write "+Quote(v.text+"s")+" for seconds")
		return
	}
	if !o.is(o.at(name), v, kindString) {
		return
	}
	d, err := time.ParseDuration(v.text)
	if err != nil {
		o.Fail(name, Quote(v.text)+` is not a duration; write it like "5s", "1m30s" or "250ms"`)
		return
	}
	if d < min || d > max {
		o.Fail(name, Quote(v.text)+" does not fit; write a duration from "+Quote(min.String())+" to "+Quote(max.String()))
		return
	}
	*dst = d
}

// Strings reads an array of strings. An empty array is a list without elements,
// not nil.
func (o *Object) Strings(name string, dst *[]string) {
	v := o.field(name)
	if v == nil || !o.is(o.at(name), v, kindArray) {
		return
	}
	if elements, ok := o.elements(o.at(name), v); ok {
		*dst = elements
	}
}

// StringOrStrings reads a field that holds either one string, which goes to dst
// and makes list nil, or an array of strings, which goes to list and makes dst
// empty.
func (o *Object) StringOrStrings(name string, dst *string, list *[]string) {
	v := o.field(name)
	if v == nil {
		return
	}
	switch v.kind {
	case kindString:
		*dst, *list = v.text, nil
	case kindArray:
		if elements, ok := o.elements(o.at(name), v); ok {
			*dst, *list = "", elements
		}
	default:
		o.mismatch(o.at(name), v, "a string or an array of strings")
	}
}

// Pairs reads an object whose values are strings or arrays of strings, such as
// {"accept": "*/*", "via": ["a", "b"]}, in the order in which it is written. An
// array gives one pair for each element and has at least one.
func (o *Object) Pairs(name string, dst *[]Pair) {
	v := o.field(name)
	if v == nil || !o.is(o.at(name), v, kindObject) {
		return
	}
	pairs := make([]Pair, 0, len(v.fields))
	for i := range v.fields {
		f := &v.fields[i]
		at := o.at(name) + "." + pathElement(f.name)
		switch f.value.kind {
		case kindString:
			pairs = append(pairs, Pair{f.name, f.value.text})
		case kindArray:
			elements, ok := o.elements(at, &f.value)
			if !ok {
				return
			}
			if len(elements) == 0 {
				o.doc.fail(at, "the array is empty; write at least one string, or leave the field out")
				return
			}
			for _, s := range elements {
				pairs = append(pairs, Pair{f.name, s})
			}
		default:
			o.mismatch(at, &f.value, "a string or an array of strings")
			return
		}
	}
	*dst = pairs
}

// Object returns the object in the field name, for its fields to be read. The result is
// never nil: if the field is absent, or is not an object (which is recorded as a
// problem), it is an object without fields.
func (o *Object) Object(name string) *Object {
	at := o.at(name)
	for _, inner := range o.inner {
		if inner.path == at {
			return inner
		}
	}
	inner := &Object{doc: o.doc, path: at}
	if v := o.field(name); v != nil && o.is(at, v, kindObject) {
		inner.fields = v.fields
	}
	o.inner = append(o.inner, inner)
	return inner
}

// field returns the value of a field or nil, and notes that the name is known.
func (o *Object) field(name string) *value {
	if !slices.Contains(o.known, name) {
		o.known = append(o.known, name)
	}
	for i := range o.fields {
		if o.fields[i].name == name {
			return &o.fields[i].value
		}
	}
	return nil
}

// elements returns the elements of an array if all of them are strings.
func (o *Object) elements(at string, v *value) ([]string, bool) {
	out := make([]string, 0, len(v.items))
	for i := range v.items {
		if !o.is(at+"["+strconv.Itoa(i)+"]", &v.items[i], kindString) {
			return nil, false
		}
		out = append(out, v.items[i].text)
	}
	return out, true
}

// at is the path of a field of this object.
func (o *Object) at(name string) string {
	switch {
	case o.path == "":
		return name
	case name == "":
		return o.path
	default:
		return o.path + "." + name
	}
}

// is reports whether v has the kind that the field at a path needs, and records a
// problem if not.
func (o *Object) is(at string, v *value, want kind) bool {
	if v.kind == want {
		return true
	}
	o.mismatch(at, v, want.noun())
	return false
}

func (o *Object) mismatch(at string, v *value, want string) {
	switch {
	case v.kind == kindNull:
		o.doc.fail(at, "null is no value; write "+want+", or leave the field out for the default")
	case want == kindBool.noun():
		o.doc.fail(at, "want true or false without quotes, got "+v.show())
	case (v.kind == kindNumber || v.kind == kindBool) && want != kindArray.noun() && want != kindObject.noun():
		o.doc.fail(at, "want "+want+", got "+v.show()+"; write "+Quote(v.text))
	default:
		o.doc.fail(at, "want "+want+", got "+v.show())
	}
}

// show returns a value as messages repeat it.
func (v *value) show() string {
	switch v.kind {
	case kindBool:
		return v.text
	case kindNumber:
		if len(v.text) > maxQuoted {
			return v.text[:maxQuoted] + "…"
		}
		return v.text
	case kindString:
		return "the string " + Quote(v.text)
	default:
		return v.kind.noun()
	}
}

func (d *document) fail(at, problem string) {
	if d.err != nil {
		return
	}
	if at != "" {
		problem = at + ": " + problem
	}
	d.err = errors.New(oneLine(problem))
}

// pathElement is a name out of the configuration as part of a path.
func pathElement(name string) string {
	for i := 0; i < len(name); i++ {
		if c := name[i]; !isWordChar(c) && c != '-' {
			return Quote(name)
		}
	}
	if name == "" || len(name) > maxQuoted {
		return Quote(name)
	}
	return name
}

// list writes names for a message: "a", "b" or "c".
func list(names []string) string {
	out := ""
	for i, name := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			out += " or "
		default:
			out += ", "
		}
		out += Quote(name)
	}
	return out
}
