// Authtoken is a proxy-wasm filter that fetches a token from an auth service in
// the background and puts it on traffic, so that no request waits for it.
//
// The token is a header of the auth service's answer: token_header, by default
// authorization. The filter copies its value into the header inject.header, by
// default x-auth, of responses, requests or both. An answer counts if its status
// is 2xx and the header is there once, is not empty, is a valid header value and
// has at most 8192 bytes. Its body is ignored.
//
// # Plugin configuration
//
// A JSON object; every field is optional.
//
//   - cluster ("my_custom_svc"): the proxy's cluster with the auth service.
//   - method ("GET"), path ("/auth"), authority ("some_authority"): of the request
//     for a token. The method is one of GET, HEAD, POST, PUT, PATCH, DELETE and
//     OPTIONS; the request has no body.
//   - headers ({"accept": "*/*"}): more headers of that request. An array gives
//     one header for each element. The object takes the place of the default.
//   - timeout ("5s", or interval if that is shorter): how long an answer may take,
//     from 100ms to 1m, and no longer than interval.
//   - interval ("15s"): from a token to the next fetch, from 1s to 24h.
//   - token_header ("authorization"): the header of the answer that carries the
//     token.
//   - inject.on ("response"): what gets the token: "response", "request" or "both".
//   - inject.header ("x-auth"): the header that carries it there.
//   - static ({"x-wasm-filter": "hello from wasm"}): headers that every response
//     gets, in place of any of the same name. The object takes the place of the
//     default; {} adds none.
//
// # The injected header belongs to the filter
//
// Where the filter puts the token, it first removes every header of that name, even
// while there is no token. So the upstream never takes a client's value for the
// proxy's, and a client never an upstream's. (An upstream that reads x_auth as x-auth
// needs Envoy's headers_with_underscores_action.) With inject.on "response", requests
// are not touched, and the other way round.
//
// # When it fetches
//
// The filter fetches when the plugin starts, and then whenever the interval since the
// last token is over. After a failure the last good token stays in use indefinitely,
// and the pauses are 1s, 2s, 4s and so on, up to the interval. Before the first token
// the header is not sent.
//
// One message is logged when fetching begins to fail (warning, with the reason),
// and one when it works again (info); each further failure is logged at level
// debug. The token is never logged.
//
// All workers of a proxy, and all plugins that ask the same question (the same
// cluster, method, path, authority, headers and token_header) in the same vm_id,
// share one token and fetch it once. A reload of the configuration keeps it. The
// shortest of their intervals counts. A new token reaches the other workers within
// 50 ms as a rule and 1s at most: each looks for it once a second, and every 50 ms
// while another one fetches. That is a read of the proxy's shared data, a locked
// map in memory. A request costs no such read, unless there is no token yet.
//
// Every filter with the same vm_id can read the shared data. To keep the token from
// other filters, give these plugins a vm_id of their own.
//
// # Counters
//
// authtoken_refresh_success counts the fetches that brought a token,
// authtoken_refresh_failure those that did not. Envoy shows them in /stats as
// wasmcustom.authtoken_refresh_success and …_failure, and without the prefix in
// /stats/prometheus, for the whole proxy.
package main
