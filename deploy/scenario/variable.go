package scenario

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// variable matches ${name}, and $${ where a text has to have ${ itself.
var variable = regexp.MustCompile(`\$\$\{|\$\{([^{}]*)\}`)

// call is the variable with the number of a call, in answers.
const call = "call"

// Expand replaces each ${name} in a text by what value returns for it, and $${ by ${. The first
// error of value is returned.
func Expand(text string, value func(name string) (string, error)) (string, error) {
	var failed error
	expanded := variable.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$${" {
			return "${"
		}
		replacement, err := value(found[2 : len(found)-1])
		if err != nil && failed == nil {
			failed = err
		}
		return replacement
	})
	return expanded, failed
}

// The variables about a service that are no header.
const (
	// ClusterOf is the name of its cluster in the proxy.
	ClusterOf = "cluster"
	// CallsOf is how many calls it has seen.
	CallsOf = "calls"
)

// ServiceVariable splits the name of a variable about a service: services.NAME.cluster,
// services.NAME.calls or services.NAME.headers.HEADER, the value of a header in the last answer
// that had it. what is ClusterOf, CallsOf or empty.
func ServiceVariable(name string) (service, what, header string, ok bool) {
	rest, ok := strings.CutPrefix(name, "services.")
	service, what, _ = strings.Cut(rest, ".")
	if what == ClusterOf || what == CallsOf {
		return service, what, "", ok
	}
	header, is := strings.CutPrefix(what, "headers.")
	return service, "", strings.ToLower(header), ok && is && header != ""
}

// texts calls visit with each text in a value, and the path to it: names of fields in the file and
// indexes.
func texts(v reflect.Value, path []any, visit func(text string, path []any) error) error {
	inner := func(v reflect.Value, step ...any) error {
		return texts(v, append(path[:len(path):len(path)], step...), visit)
	}
	switch v.Kind() {
	case reflect.String:
		return visit(v.String(), path)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return texts(v.Elem(), path, visit)
	case reflect.Slice:
		for i := range v.Len() {
			if err := inner(v.Index(i), i); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if err := inner(v.MapIndex(key), fmt.Sprint(key)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			var step []any
			if name != "" && name != "-" {
				step = []any{name}
			}
			if name == "-" && v.Type().Field(i).Name != "Value" {
				continue
			}
			if err := inner(v.Field(i), step...); err != nil {
				return err
			}
		}
	}
	return nil
}
