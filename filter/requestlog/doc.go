// Requestlog is a proxy-wasm filter that logs each HTTP stream as one JSON
// object on one line, at level info, when the stream ends:
//
//	{"direction":"in","stream_id":7,"method":"GET","authority":"shop.example","path":"/cart?id=3",
//	"request_headers":{"accept":"*/*","authorization":"[redacted]","via":["1.1 a","1.1 b"]},
//	"status":200,"request_bytes":0,"response_bytes":512,"duration_ms":3.207}
//
// (wrapped here; the filter writes it on one line.) A field that is not known is
// left out, never guessed.
//
//   - direction: "in" or "out", see below.
//   - stream_id: the number of the stream's context in this worker's VM. It ties
//     the line to other messages of the VM and is unique only within it.
//   - method, authority, path, request_headers: the request as it reached this
//     filter, so the place in the chain decides whether what another filter adds,
//     removes or rewrites is seen. A header that came more than once has an array
//     of its values, in their order. Pseudo headers are not repeated here.
//   - status: what went downstream, a reply by the proxy itself included. It is
//     missing when the stream was reset before there was a response.
//   - request_bytes, response_bytes: bytes of body that passed this filter, as this
//     filter saw them: a compressor nearer to the client changes them later. They are
//     missing when the proxy answered before this filter saw the request.
//   - duration_ms: milliseconds, with microseconds as fraction, from the first byte
//     of the request to the end of the stream: the property request.duration,
//     which is what %DURATION% shows in Envoy's own access log.
//   - truncated: true if something had to be cut to keep to max_line_bytes. A cut
//     method, authority or path ends in "…"; a header that does not fit is left
//     out with all its values.
//
// Bytes that are not UTF-8 show as \ufffd; control characters are escaped.
//
// # Plugin configuration
//
// A JSON object; every field is optional.
//
//   - headers ("all"): "all", "none", or an array of the names of the request
//     headers to log.
//   - redact (["authorization", "proxy-authorization", "cookie", "set-cookie",
//     "x-auth"]): the names whose values are replaced by "[redacted]". The array
//     takes the place of the default; [] redacts nothing.
//   - max_line_bytes (8192): how long the JSON may be, from 1024 to 65536. The
//     prefix that the proxy puts before a message is not counted. Beyond 16384,
//     container runtimes split a line in two.
//
// # VM configuration
//
//   - direction: "in" or "out". Without it, the direction is that of the listener
//     (its traffic_direction, which Istio sets), and left out if that says none.
package main
