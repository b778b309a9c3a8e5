package main

import (
	"slices"
	"strconv"

	"github.com/slipway-wasm/slipway/filter/conf"
	"github.com/slipway-wasm/slipway/filter/httpheader"
)

// config is the plugin configuration.
type config struct {
	allHeaders   bool
	headers      []string // if not all: the names to log, in lower case
	redact       []string // in lower case
	maxLineBytes int
}

// parseConfig reads the plugin configuration. The error is one line that names the
// field and says what to write instead.
func parseConfig(data []byte) (*config, error) {
	o, err := conf.ParseObject(data)
	if err != nil {
		return nil, err
	}
	c := &config{
		redact:       slices.Clone(httpheader.Sensitive),
		maxLineBytes: defaultLine,
	}
	choice := "all"
	o.StringOrStrings("headers", &choice, &c.headers)
	if c.headers == nil && choice != "all" && choice != "none" {
		o.Fail("headers", conf.Quote(choice)+` is none of the choices; write "all", "none" or an array of header names such as [`+conf.Quote(choice)+`]`)
	}
	c.allHeaders = c.headers == nil && choice == "all"
	checkNames(o, "headers", c.headers)
	o.Strings("redact", &c.redact)
	checkNames(o, "redact", c.redact)
	o.Int("max_line_bytes", &c.maxLineBytes, minLine, maxLine)
	if err := o.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// checkNames puts the names in the field into lower case and refuses those that
// no header of a request can have. Names that a filter must not set, such as
// content-length, are fine: this one only reads.
func checkNames(o *conf.Object, field string, names []string) {
	for i, name := range names {
		names[i] = httpheader.Canonical(name)
		problem := ""
		switch {
		case isPseudo(name):
			problem = " is a pseudo header; leave it out: method, authority and path are always logged"
		case names[i] == "host":
			problem = " is the pseudo header :authority in the proxy; leave it out: authority is always logged"
		case !httpheader.IsToken(name):
			problem = " is not a header name; use letters, digits and -"
		default:
			continue
		}
		o.Fail(field+"["+strconv.Itoa(i)+"]", conf.Quote(name)+problem)
	}
}

// wantsAny reports whether there are request headers to log at all.
func (c *config) wantsAny() bool { return c.allHeaders || len(c.headers) > 0 }

// wants reports whether the header is to be logged.
func (c *config) wants(name string) bool { return c.allHeaders || among(c.headers, name) }

// hides reports whether the value of the header is a secret.
func (c *config) hides(name string) bool { return among(c.redact, name) }

func among(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// parseVMConfig reads the VM configuration. The error is one line that names the field
// and says what to write instead.
func parseVMConfig(data []byte) (direction string, err error) {
	o, err := conf.ParseObject(data)
	if err != nil {
		return "", err
	}
	o.OneOf("direction", &direction, directionIn, directionOut)
	return direction, o.Err()
}
