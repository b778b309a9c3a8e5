package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-wasm/slipway/filter/conf"
	"github.com/slipway-wasm/slipway/filter/httpheader"
)

// config is a plugin configuration, ready for use on requests.
type config struct {
	request, response []change // in the order in which they apply
	countHeader       string
	countMetric       string
	debugLog          bool
}

// change is one host call that changes a header.
type change struct {
	verb        verb
	name, value string
}

type verb uint8

const (
	remove verb = iota
	set         // replace all values, or add the header
	add         // append a value
)

// parseConfig reads a plugin configuration in either form. The error is one line.
func parseConfig(data []byte) (*config, error) {
	c := &config{countHeader: "hello", countMetric: "hello_header_counter", debugLog: true}
	text := string(data)
	first := strings.TrimLeft(text, " \t\r\n")
	// ParseObject says best what is wrong with a byte order mark.
	if strings.HasPrefix(first, "{") || strings.HasPrefix(first, "\ufeff") {
		return c, c.parseJSON(data)
	}
	return c, c.parseLines(text)
}

// parseLines reads name=value lines, each a response header to add.
func (c *config) parseLines(text string) error {
	for number := 1; text != ""; number++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = trim(strings.TrimSuffix(line, "\r"))
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		name, value = trim(name), trim(value)
		problem := ""
		if !found {
			problem = conf.Quote(line) + ` has no "="; write it as name=value, or put a # before a comment`
		} else if err := httpheader.CheckName(name); err != nil {
			problem = err.Error()
		} else if err := httpheader.CheckValue(value); err != nil {
			problem = "header " + conf.Quote(name) + ": " + err.Error()
		}
		if problem != "" {
			return errors.New("line " + strconv.Itoa(number) + ": " + problem)
		}
		c.response = append(c.response, change{add, httpheader.Canonical(name), value})
	}
	return nil
}

func trim(s string) string { return strings.Trim(s, " \t") }

// parseJSON reads the JSON form.
func (c *config) parseJSON(data []byte) error {
	o, err := conf.ParseObject(data)
	if err != nil {
		return err
	}
	c.request = parseChanges(o.Object("request"))
	c.response = parseChanges(o.Object("response"))
	count := o.Object("count")
	count.String("header", &c.countHeader)
	count.String("metric", &c.countMetric)
	if err := httpheader.CheckName(c.countHeader); err != nil {
		count.Fail("header", err.Error())
	}
	c.countHeader = httpheader.Canonical(c.countHeader)
	o.Bool("debug_log", &c.debugLog)
	if !isMetricName(c.countMetric) {
		count.Fail("metric", conf.Quote(c.countMetric)+" is not a metric name; use letters, digits and _, and no digit first")
	}
	return o.Err()
}

// parseChanges reads the changes for one direction.
func parseChanges(o *conf.Object) []change {
	var removed []string
	var setTo, added []conf.Pair
	o.Strings("remove", &removed)
	o.Pairs("set", &setTo)
	o.Pairs("add", &added)

	var changes []change
	for i, name := range removed {
		if err := httpheader.CheckName(name); err != nil {
			o.Fail("remove", err.Error())
		}
		removed[i] = httpheader.Canonical(name)
		if slices.Contains(removed[:i], removed[i]) {
			o.Fail("remove", "header "+conf.Quote(name)+" appears twice; keep one")
		}
		changes = append(changes, change{remove, removed[i], ""})
	}
	checkPairs(o, "set", setTo)
	for i, p := range setTo {
		name := httpheader.Canonical(p.Name)
		if slices.Contains(removed, name) {
			o.Fail("set", "header "+conf.Quote(p.Name)+" is in remove too; keep one of the two")
		}
		v := set
		if i > 0 && setTo[i-1].Name == p.Name { // a further value of the same array
			v = add
		}
		changes = append(changes, change{v, name, p.Value})
	}
	checkPairs(o, "add", added)
	for _, p := range added {
		changes = append(changes, change{add, httpheader.Canonical(p.Name), p.Value})
	}
	return changes
}

// checkPairs refuses names and values that HTTP forbids. It also refuses one header in
// two spellings, because one would silently replace the other.
func checkPairs(o *conf.Object, field string, pairs []conf.Pair) {
	for i, p := range pairs {
		if err := httpheader.CheckName(p.Name); err != nil {
			o.Fail(field, err.Error())
		}
		if err := httpheader.CheckValue(p.Value); err != nil {
			o.Fail(field, "header "+conf.Quote(p.Name)+": "+err.Error())
		}
		for _, q := range pairs[:i] {
			if p.Name != q.Name && httpheader.Canonical(p.Name) == httpheader.Canonical(q.Name) {
				o.Fail(field, "headers "+conf.Quote(q.Name)+" and "+conf.Quote(p.Name)+" are the same; keep one, with an array for several values")
			}
		}
	}
}

// isMetricName reports whether the name is valid in the Prometheus format, so that
// it looks the same there as in /stats.
// https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
// (Its colons are left to recording rules.)
func isMetricName(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '_', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', i > 0 && '0' <= c && c <= '9':
		default:
			return false
		}
	}
	return s != ""
}
