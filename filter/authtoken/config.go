package main

import (
	"strconv"
	"time"

	"github.com/slipway-wasm/slipway/filter/conf"
	"github.com/slipway-wasm/slipway/filter/httpheader"
)

const (
	minTimeout, maxTimeout   = 100 * time.Millisecond, time.Minute
	minInterval, maxInterval = time.Second, 24 * time.Hour
)

// config is the plugin configuration. Header names are in lower case.
type config struct {
	cluster     string
	method      string
	path        string
	authority   string
	headers     []conf.Pair // sent with the request for a token
	timeout     time.Duration
	interval    time.Duration
	tokenHeader string // the header of the answer that holds the token
	onRequest   bool   // whether requests get the token
	onResponse  bool   // whether responses get it
	header      string // the header that carries it there
	static      []conf.Pair
}

// parseConfig reads the plugin configuration. The error is one line that names the
// field and says what to write instead.
func parseConfig(data []byte) (*config, error) {
	o, err := conf.ParseObject(data)
	if err != nil {
		return nil, err
	}
	c := &config{
		cluster:     "my_custom_svc",
		method:      "GET",
		path:        "/auth",
		authority:   "some_authority",
		headers:     []conf.Pair{{Name: "accept", Value: "*/*"}},
		timeout:     5 * time.Second,
		interval:    15 * time.Second,
		tokenHeader: "authorization",
		header:      "x-auth",
		static:      []conf.Pair{{Name: "x-wasm-filter", Value: "hello from wasm"}},
	}
	o.String("cluster", &c.cluster)
	if c.cluster == "" {
		o.Fail("cluster", "the name is empty; write the name of the proxy's cluster with the auth service")
	}
	// Not CONNECT and TRACE: neither can be answered with a token.
	o.OneOf("method", &c.method, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
	o.String("path", &c.path)
	if c.path == "" || c.path[0] != '/' || !visible(c.path) {
		o.Fail("path", conf.Quote(c.path)+` is not a path; start it with "/" and write spaces and what is not ASCII as %20 and the like`)
	}
	o.String("authority", &c.authority)
	if c.authority == "" || !visible(c.authority) {
		o.Fail("authority", conf.Quote(c.authority)+` is not an authority; write a host, or a host and a port such as "auth.example:8080"`)
	}
	o.Pairs("headers", &c.headers)
	checkPairs(o, "headers", c.headers)
	o.Duration("timeout", &c.timeout, minTimeout, maxTimeout)
	o.Duration("interval", &c.interval, minInterval, maxInterval)
	if !o.Has("timeout") {
		c.timeout = min(c.timeout, c.interval)
	}
	if c.timeout > c.interval {
		o.Fail("timeout", c.timeout.String()+" is longer than the interval of "+c.interval.String()+"; write a shorter timeout or a longer interval")
	}
	o.String("token_header", &c.tokenHeader)
	checkName(o, "token_header", &c.tokenHeader)

	inject := o.Object("inject")
	on := "response"
	inject.OneOf("on", &on, "response", "request", "both")
	c.onRequest = on != "response"
	c.onResponse = on != "request"
	inject.String("header", &c.header)
	checkName(inject, "header", &c.header)

	o.Pairs("static", &c.static)
	checkPairs(o, "static", c.static)
	for _, p := range c.static {
		if c.onResponse && p.Name == c.header {
			o.Fail("static", conf.Quote(p.Name)+" is the header that carries the token (inject.header); leave it out")
		}
	}
	if err := o.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// checkName puts a header name into lower case, or records why it cannot be one.
func checkName(o *conf.Object, field string, name *string) {
	if err := httpheader.CheckName(*name); err != nil {
		o.Fail(field, err.Error())
	}
	*name = httpheader.Canonical(*name)
}

// checkPairs does the same for headers with values.
func checkPairs(o *conf.Object, field string, pairs []conf.Pair) {
	for i := range pairs {
		checkName(o, field, &pairs[i].Name)
		if err := httpheader.CheckValue(pairs[i].Value); err != nil {
			o.Fail(field, "header "+conf.Quote(pairs[i].Name)+": "+err.Error())
		}
	}
}

// visible reports whether s consists of visible ASCII characters.
func visible(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// key returns the key of this token's record in the shared data. The key holds
// everything that decides which token the auth service gives out, so that no two
// different questions share a key. (A hash would be shorter, but two could collide.)
// Plugins that differ only in when they fetch, or in what they do with the token, share
// the record, also across a reload of the configuration. The number is the version of
// the record's form.
func (c *config) key() string {
	b := []byte("slipway.authtoken.1")
	add := func(s string) {
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(len(s)), 10)
		b = append(b, ':')
		b = append(b, s...)
	}
	add(c.cluster)
	add(c.method)
	add(c.path)
	add(c.authority)
	add(c.tokenHeader)
	for _, p := range c.headers {
		add(p.Name)
		add(p.Value)
	}
	return string(b)
}
