package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"github.com/slipway-wasm/slipway/filter/conf"
	"github.com/slipway-wasm/slipway/filter/httpheader"
	"github.com/slipway-wasm/slipway/filter/internal/hostcall"
)

// maxToken is how long a token may be. Servers commonly take 8 KiB of one header
// (nginx: large_client_header_buffers, Apache: LimitRequestFieldSize), and a
// longer one is more likely an error page gone astray than a token.
const maxToken = 8 << 10

// proxy is the host of a refresher: the proxy that runs this filter.
type proxy struct {
	cluster        string
	request        [][2]string // for a token
	timeoutMillis  uint32
	tokenHeader    string
	clock          func() time.Time
	worked, failed hostcall.Counter
}

var _ host = (*proxy)(nil)

func newProxy(c *config, clock func() time.Time) (*proxy, error) {
	p := &proxy{
		cluster:       c.cluster,
		request:       [][2]string{{":method", c.method}, {":path", c.path}, {":authority", c.authority}},
		timeoutMillis: uint32(c.timeout / time.Millisecond),
		tokenHeader:   c.tokenHeader,
		clock:         clock,
	}
	var err error
	if p.worked, err = hostcall.DefineCounter("authtoken_refresh_success"); err != nil {
		return nil, err
	}
	if p.failed, err = hostcall.DefineCounter("authtoken_refresh_failure"); err != nil {
		return nil, err
	}
	for _, h := range c.headers {
		p.request = append(p.request, [2]string{h.Name, h.Value})
	}
	return p, nil
}

func (p *proxy) now() int64 { return p.clock().UnixNano() }

func (p *proxy) load(key string) ([]byte, uint32, bool) {
	value, cas, err := proxywasm.GetSharedData(key)
	return value, cas, err == nil
}

func (p *proxy) store(key string, value []byte, cas uint32) bool {
	return proxywasm.SetSharedData(key, value, cas) == nil
}

func (p *proxy) fetch(done func(token, problem string)) string {
	_, err := proxywasm.DispatchHttpCall(p.cluster, p.request, nil, nil, p.timeoutMillis, func(numHeaders, _, _ int) {
		if numHeaders == 0 {
			done("", "no answer: the connection broke or the answer took longer than the timeout")
			return
		}
		headers, err := proxywasm.GetHttpCallResponseHeaders()
		if err != nil {
			done("", "the answer cannot be read: "+err.Error())
			return
		}
		done(tokenIn(headers, p.tokenHeader))
	})
	// Envoy's return values mean this: Context::httpCall in
	// source/extensions/common/wasm/context.cc.
	switch {
	case err == nil:
		return ""
	case errors.Is(err, types.ErrorStatusBadArgument):
		return "the proxy does not know the cluster (yet); define it, or name another one in the field cluster"
	case errors.Is(err, types.ErrorInternalFailure):
		return "the proxy cannot call it now, for instance because the cluster has no endpoint"
	default:
		return "the proxy refused the call: " + err.Error()
	}
}

func (p *proxy) count(worked bool) {
	if worked {
		p.worked.Add(1)
	} else {
		p.failed.Add(1)
	}
}

func (p *proxy) debug(message string) { proxywasm.LogDebug(message) }
func (p *proxy) info(message string)  { proxywasm.LogInfo(message) }
func (p *proxy) warn(message string)  { proxywasm.LogWarn(message) }

// tokenIn returns the token in the headers of the auth service's answer, or else
// what is wrong with the answer. The problem never repeats a header's value: it
// is logged.
func tokenIn(headers [][2]string, name string) (token, problem string) {
	status, found := "", 0
	for _, h := range headers {
		switch httpheader.Canonical(h[0]) {
		case ":status":
			status = h[1]
		case name:
			token = h[1]
			found++
		}
	}
	switch {
	case len(status) != 3 || status[0] != '2':
		return "", "status " + conf.Quote(status) + " instead of 2xx"
	case found == 0:
		return "", "the answer has no header " + conf.Quote(name)
	case token == "":
		return "", "the header " + conf.Quote(name) + " of the answer is empty"
	case found > 1:
		return "", "the answer has the header " + conf.Quote(name) + " more than once"
	case len(token) > maxToken:
		return "", "the header " + conf.Quote(name) + " of the answer is longer than " + strconv.Itoa(maxToken) + " bytes"
	case httpheader.CheckValue(token) != nil:
		return "", "the header " + conf.Quote(name) + " of the answer holds what no header may"
	}
	// The string shares the memory of all headers of the answer.
	return strings.Clone(token), ""
}
