package scenario

import (
	"time"

	"github.com/slipway-wasm/slipway/deploy/catalog"
)

// Scenario is one file: a proxy with filters, what is sent through it, and what must be seen.
type Scenario struct {
	// Name is the file's name without .yaml. It is unique among the scenarios of a filter.
	Name string `json:"-"`
	// Filter is the name of the filter beside whose source the file is.
	Filter string `json:"-"`
	// File is the path of the file.
	File string `json:"-"`

	// Description says in one sentence what the filter does here. Required.
	Description string `json:"description"`
	// Bench marks the scenario whose proxy and first request are measured. At most one scenario
	// of a filter has it.
	Bench bool `json:"bench"`
	// Proxy is the proxy in front of the upstream. Default: one that runs the filter exactly as
	// its rendered manifests do.
	Proxy Proxy `json:"proxy"`
	// Services are what filters call, by the service's name: lowercase letters, digits and
	// hyphens.
	Services map[string]Service `json:"services"`
	// Upstream is the server behind the proxy. Default: an httpbin.
	Upstream *Script `json:"upstream"`
	// Never are texts that the log must never hold, from the start of the proxy to the end of
	// the scenario.
	Never []Phrase `json:"never"`
	// Steps are played one after the other. At least one is required.
	Steps []Step `json:"steps"`
}

// Proxy is a proxy with a chain of filters. What is left out is what the filter's rendered
// manifests would say: section apply of its filter.yaml.
type Proxy struct {
	Settings
	// Chain are several filters of the repository, in the order in which they see a request.
	// Default: only the filter beside whose source the scenario is, with the settings above.
	Chain []Link `json:"chain"`
	// Workers is how many worker threads the proxy has, 1 to 64. Default: any number.
	Workers int64 `json:"workers"`
	// Direction is Inbound or Outbound, which filters read as xds.listener_direction. Default:
	// that of the section apply if it has one context, else none.
	Direction string `json:"direction"`
	// Except are versions of Envoy in which the scenario is not played.
	Except []Exception `json:"except"`
}

// Settings are how a proxy runs one filter.
type Settings struct {
	// PluginConfig is the plugin's configuration: an object, which the filter gets as JSON, or a
	// text, which it gets unchanged. "" is none.
	PluginConfig any `json:"pluginConfig"`
	// VMConfig is the configuration of the filter's virtual machine.
	VMConfig *VMConfig `json:"vmConfig"`
	// FailStrategy says what happens to requests if the filter cannot run: catalog.FailClose,
	// catalog.FailOpen or catalog.FailReload.
	FailStrategy string `json:"failStrategy"`
}

// Link is one filter of a chain.
type Link struct {
	// Filter is the filter's name. Required.
	Filter string `json:"filter"`
	Settings
}

// VMConfig is the configuration of a filter's virtual machine.
type VMConfig struct {
	// Configuration is handed to the virtual machine, as an object or a text. Default: none.
	Configuration any `json:"configuration"`
	// Env are the environment variables that the filter sees.
	Env []catalog.EnvVar `json:"env"`
}

// The values of Proxy.Direction.
const (
	Inbound  = catalog.ContextInbound
	Outbound = catalog.ContextOutbound
)

// Exception is a version of Envoy in which a scenario is not played.
type Exception struct {
	// Envoy is a version such as 1.36.4, or 1.36 for all its patches. Required.
	Envoy string `json:"envoy"`
	// Reason says why. Required.
	Reason string `json:"reason"`
}

// Service is a server that filters call as a cluster of the proxy.
type Service struct {
	// Cluster is the cluster's name in the proxy. Default: the service's name or, where a
	// configuration has ${services.NAME.cluster} in its place, the name that the proxy gives it.
	Cluster string `json:"cluster"`
	Script
}

// Script is how a server answers.
type Script struct {
	// Answers are given one after the other. The last one is given to all calls that follow.
	// Default: an answer with status 200.
	Answers []Answer `json:"answers"`
}

// Answer is one answer of a server.
type Answer struct {
	// Times is how many calls get this answer. Default: 1 or, for the last answer, all that
	// follow.
	Times int64 `json:"times"`
	// Status is the status, 200 to 599. Default: 200.
	Status int64 `json:"status"`
	// Headers are its headers. In a value, ${call} is the number of the call: 1 for the first.
	Headers map[string]Values `json:"headers"`
	// Body is its body, in which ${call} has the same meaning. Default: empty.
	Body Body `json:"body"`
	// Delay is how long the server waits before it answers. Default: not at all.
	Delay Duration `json:"delay"`
	// Silent never answers, and keeps the connection.
	Silent bool `json:"silent"`
	// Reset closes the connection in place of an answer.
	Reset bool `json:"reset"`
	// Down closes the port, so that connections are refused, until a step changes the service.
	Down bool `json:"down"`
}

// Step is one change, one request, and what must be seen then. It begins when the step before
// it has ended; the first one begins with the proxy.
type Step struct {
	// Name says in a few words what is seen. Required.
	Name string `json:"name"`
	// Change is made before anything is sent.
	Change *Change `json:"change"`
	// Request is sent. Default: none.
	Request *Request `json:"request"`
	// Within is how long the expectations may take to hold. The request is sent again until the
	// response and what the upstream saw hold. Default: the request is sent once; what the
	// proxy logs and counts, and the calls that servers see, may take LateDefault.
	Within Duration `json:"within"`
	// Expect is what must be seen. Required.
	Expect Expect `json:"expect"`
}

// LateDefault is how long after a response the log, statistics and calls may come that follow
// from it: they are written by other threads.
const LateDefault = 5 * time.Second

// Change is made while the proxy runs.
type Change struct {
	// Filter is the filter of a chain that gets another configuration. Default: the only one.
	Filter string `json:"filter"`
	// PluginConfig is another plugin configuration.
	PluginConfig any `json:"pluginConfig"`
	// Services are how services answer from now on.
	Services map[string]Script `json:"services"`
	// Upstream is how the upstream answers from now on.
	Upstream *Script `json:"upstream"`
}

// Request is what a client sends.
type Request struct {
	// Method is the method. Default: GET.
	Method string `json:"method"`
	// Path begins with a slash, and may have a query. Default: /.
	Path string `json:"path"`
	// Authority is the host that the client asks for. Default: the proxy's own address.
	Authority string `json:"authority"`
	// Headers are sent besides those that every client sends.
	Headers map[string]Values `json:"headers"`
	// Body is sent. Default: none.
	Body Body `json:"body"`
	// Protocol is HTTP11 or HTTP2. Default: HTTP11.
	Protocol string `json:"protocol"`
	// Times is how often the request is sent, each time on a connection of its own, 1 to 10000.
	// Each response must be as expected. Default: 1.
	Times int64 `json:"times"`
	// Parallel is how many of them are sent side by side, 1 to 256. Default: 1.
	Parallel int64 `json:"parallel"`
	// AbortAfter is when the client hangs up. There is no response then. Default: never.
	AbortAfter Duration `json:"abortAfter"`
}

// The values of Request.Protocol.
const (
	HTTP11 = "HTTP/1.1"
	HTTP2  = "HTTP/2"
)

// Expect is what must be seen in a step. At least one expectation is required.
type Expect struct {
	// Response is what the client sees.
	Response *Response `json:"response"`
	// Upstream is what the upstream saw since the request was sent.
	Upstream *Seen `json:"upstream"`
	// Services are what services saw since the step began, by their names.
	Services map[string]Seen `json:"services"`
	// Statistics are the proxy's statistics by their names in /stats.
	Statistics map[string]Number `json:"statistics"`
	// Prometheus are the same as Prometheus sees them: name or name{label="value"}.
	Prometheus map[string]Number `json:"prometheus"`
	// Log are lines that the proxy must have logged since the step began.
	Log []Line `json:"log"`
	// Never are texts that no line since the step began may hold.
	Never []Phrase `json:"never"`
	// Refusal says that the proxy refuses the configuration: that of the change or, in the first
	// step, that of the scenario.
	Refusal *Refusal `json:"refusal"`
}

// Response is what a client must see.
type Response struct {
	// Status is the status. Default: any.
	Status int64 `json:"status"`
	// Headers are headers, by their names.
	Headers map[string]Text `json:"headers"`
	// Body is the body.
	Body *Content `json:"body"`
}

// Seen is what a server must have seen. If it says anything but the number of calls, there must
// be a call, and each one must be so.
type Seen struct {
	// Calls is how many there were.
	Calls *Calls `json:"calls"`
	// Method is the method.
	Method string `json:"method"`
	// Path is the path with its query.
	Path *Text `json:"path"`
	// Authority is the host that was asked for.
	Authority *Text `json:"authority"`
	// Headers are headers, by their names.
	Headers map[string]Text `json:"headers"`
	// Body is the body.
	Body *Content `json:"body"`
}

// Refusal is a configuration that a filter refuses.
type Refusal struct {
	// Message is what the filter logs about it, in one line at level critical. Required.
	Message Phrase `json:"message"`
}

// Line is a log line. Everything that it says must hold for the same line.
type Line struct {
	// Contains are texts in the line: one, or a list of which it has all.
	Contains Values `json:"contains"`
	// Pattern is a regular expression that matches a part of the line. What a named group such
	// as (?P<id>[0-9]+) matches is ${id} from then on.
	Pattern string `json:"pattern"`
	// Level is the line's level: trace, debug, info, warning, error or critical.
	Level string `json:"level"`
	// JSON compares values of the JSON object in the line, by their JSON paths.
	JSON map[string]JSONValue `json:"json"`
	// Times is how many such lines there must be. Default: at least one.
	Times *int64 `json:"times"`
}
