// Headers is a proxy-wasm filter that changes request and response headers, and
// counts the requests that carry a header.
//
// # Plugin configuration
//
// Without a configuration the filter only counts. A configuration has one of two
// forms: a JSON object if its first byte that is not white space is {, else lines.
//
// The JSON form is what the pluginConfig of a WasmPlugin arrives as:
//
//	{
//	  "request":  {"remove": ["x-internal"], "set": {"x-my-custom-header": "hello world"}},
//	  "response": {"remove": ["x-powered-by"], "add": {"vary": ["accept", "accept-language"]}},
//	  "count":    {"header": "hello", "metric": "hello_header_counter"},
//	  "debug_log": true
//	}
//
// Every field is optional:
//
//   - request, response: the headers to change, in this order: remove takes a
//     header away with all its values; set puts its value in the place of all
//     values there are, or adds the header; add appends a value and leaves the
//     others alone. A value is a string, or an array of strings for several values.
//   - count.header ("hello"): requests that carry this header when they reach the
//     filter are counted, whatever its value, even an empty one.
//   - count.metric ("hello_header_counter"): the counter's name. Envoy shows it as
//     wasmcustom.<name> in /stats and as <name> in the Prometheus format.
//   - debug_log (true): whether to log at level debug, see below.
//
// In the other form, each line is a response header to add:
//
//	# comment
//	x-my-custom-header = hello world
//
// A line is split at its first "="; spaces and tabs round name and value do not
// count. Blank lines, and lines that start with #, are ignored.
//
// The filter refuses names that HTTP or the proxy reserve (pseudo headers, host,
// headers of one connection, headers that frame the body), and values with control
// characters. The plugin then does not start, and one line at level critical says what
// to fix.
//
// A response is changed only if its request passed the filter. A reply that the
// proxy or an earlier filter gives on its own before that is left alone.
//
// # Debug log
//
// At level debug the filter logs the headers of a request and of a response as they
// reach the filter, each [name: value] in one message, and the end of each stream,
// with the stream's context id. The values of authorization, proxy-authorization,
// cookie, set-cookie and x-auth show as (redacted). Reading all headers costs time at
// any log level, because a filter cannot know the proxy's level; "debug_log": false
// saves that time.
package main
