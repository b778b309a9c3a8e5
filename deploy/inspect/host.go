package inspect

import (
	"slices"
	"strings"
)

// The tables below are what Envoy's proxy-wasm host registers and looks up.
// Sources, in https://github.com/proxy-wasm/proxy-wasm-cpp-host:
//   - include/proxy-wasm/exports.h, FOR_ALL_HOST_FUNCTIONS and
//     FOR_ALL_WASI_FUNCTIONS, with the signatures declared above them;
//   - src/wasm.cc, registerCallbacks and getFunctions;
//   - include/proxy-wasm/wasm.h for the signatures of the callbacks.
//
// A signature is written as parameters, colon, results: i is i32, I is i64. A
// pointer or size (Word) is an i32. Envoy refuses an import whose type differs
// from the registered one, even where WASI itself says otherwise.

// The Envoy versions in which host functions appeared. Envoys older than the baseline are out
// of support, and are not looked at.
const (
	envoyBaseline = "1.26"
	// envoyGoWASI is the first version that offers the WASI functions that every Go program
	// imports:
	// https://github.com/proxy-wasm/proxy-wasm-cpp-host/pull/427
	envoyGoWASI = "1.33"
	// envoyAfterV2 is the lowest version that was seen to load modules with features of
	// WebAssembly after 2.0: exceptions, tail calls, atomics and extended constant
	// expressions. It is not known which version took them first.
	envoyAfterV2 = "1.36"
	// envoyGrowth is the first version that lets a module report at start that its memory
	// grew: https://github.com/proxy-wasm/proxy-wasm-cpp-host/pull/461
	envoyGrowth = "1.37"
	// envoyFullWASI is the first version with the rest of WASI that Go's
	// standard library can import:
	// https://github.com/proxy-wasm/proxy-wasm-cpp-host/pull/533
	envoyFullWASI = "1.39"
)

// hostFunction is a function that Envoy offers to a module.
type hostFunction struct {
	signature string
	since     string // the first Envoy version, major.minor
	abi       string // the ABI versions that may import it, space-separated; empty: all
}

// offeredTo reports whether a module of the given ABI version may import f.
func (f hostFunction) offeredTo(abi string) bool {
	return f.abi == "" || slices.Contains(strings.Fields(f.abi), abi)
}

// proxyFunctions are the functions of module "env".
var proxyFunctions = map[string]hostFunction{
	"proxy_log":                          {signature: "iii:i", since: envoyBaseline},
	"proxy_get_status":                   {signature: "iii:i", since: envoyBaseline},
	"proxy_set_property":                 {signature: "iiii:i", since: envoyBaseline},
	"proxy_get_property":                 {signature: "iiii:i", since: envoyBaseline},
	"proxy_send_local_response":          {signature: "iiiiiiii:i", since: envoyBaseline},
	"proxy_get_shared_data":              {signature: "iiiii:i", since: envoyBaseline},
	"proxy_set_shared_data":              {signature: "iiiii:i", since: envoyBaseline},
	"proxy_register_shared_queue":        {signature: "iii:i", since: envoyBaseline},
	"proxy_resolve_shared_queue":         {signature: "iiiii:i", since: envoyBaseline},
	"proxy_dequeue_shared_queue":         {signature: "iii:i", since: envoyBaseline},
	"proxy_enqueue_shared_queue":         {signature: "iii:i", since: envoyBaseline},
	"proxy_get_header_map_value":         {signature: "iiiii:i", since: envoyBaseline},
	"proxy_add_header_map_value":         {signature: "iiiii:i", since: envoyBaseline},
	"proxy_replace_header_map_value":     {signature: "iiiii:i", since: envoyBaseline},
	"proxy_remove_header_map_value":      {signature: "iii:i", since: envoyBaseline},
	"proxy_get_header_map_pairs":         {signature: "iii:i", since: envoyBaseline},
	"proxy_set_header_map_pairs":         {signature: "iii:i", since: envoyBaseline},
	"proxy_get_header_map_size":          {signature: "ii:i", since: envoyBaseline},
	"proxy_get_buffer_status":            {signature: "iii:i", since: envoyBaseline},
	"proxy_get_buffer_bytes":             {signature: "iiiii:i", since: envoyBaseline},
	"proxy_set_buffer_bytes":             {signature: "iiiii:i", since: envoyBaseline},
	"proxy_http_call":                    {signature: "iiiiiiiiii:i", since: envoyBaseline},
	"proxy_grpc_call":                    {signature: "iiiiiiiiiiii:i", since: envoyBaseline},
	"proxy_grpc_stream":                  {signature: "iiiiiiiii:i", since: envoyBaseline},
	"proxy_grpc_close":                   {signature: "i:i", since: envoyBaseline},
	"proxy_grpc_cancel":                  {signature: "i:i", since: envoyBaseline},
	"proxy_grpc_send":                    {signature: "iiii:i", since: envoyBaseline},
	"proxy_set_tick_period_milliseconds": {signature: "i:i", since: envoyBaseline},
	"proxy_get_current_time_nanoseconds": {signature: "i:i", since: envoyBaseline},
	"proxy_define_metric":                {signature: "iiii:i", since: envoyBaseline},
	"proxy_increment_metric":             {signature: "iI:i", since: envoyBaseline},
	"proxy_record_metric":                {signature: "iI:i", since: envoyBaseline},
	"proxy_get_metric":                   {signature: "ii:i", since: envoyBaseline},
	"proxy_set_effective_context":        {signature: "i:i", since: envoyBaseline},
	"proxy_done":                         {signature: ":i", since: envoyBaseline},
	"proxy_call_foreign_function":        {signature: "iiiiii:i", since: envoyBaseline},
	"proxy_get_configuration":            {signature: "ii:i", since: envoyBaseline, abi: "0.1.0"},
	"proxy_continue_request":             {signature: ":i", since: envoyBaseline, abi: "0.1.0"},
	"proxy_continue_response":            {signature: ":i", since: envoyBaseline, abi: "0.1.0"},
	"proxy_clear_route_cache":            {signature: ":i", since: envoyBaseline, abi: "0.1.0"},
	"proxy_continue_stream":              {signature: "i:i", since: envoyBaseline, abi: "0.2.0 0.2.1"},
	"proxy_close_stream":                 {signature: "i:i", since: envoyBaseline, abi: "0.2.0 0.2.1"},
	"proxy_get_log_level":                {signature: "i:i", since: envoyBaseline, abi: "0.2.1"},
	"emscripten_notify_memory_growth":    {signature: "i:", since: envoyBaseline},
	"pthread_equal":                      {signature: "ii:i", since: envoyBaseline},
}

// wasiFunctions are the functions of modules "wasi_snapshot_preview1" and
// "wasi_unstable".
var wasiFunctions = map[string]hostFunction{
	"fd_write":                {signature: "iiii:i", since: envoyBaseline},
	"fd_read":                 {signature: "iiii:i", since: envoyBaseline},
	"fd_seek":                 {signature: "iIii:i", since: envoyBaseline},
	"fd_close":                {signature: "i:i", since: envoyBaseline},
	"fd_fdstat_get":           {signature: "ii:i", since: envoyBaseline},
	"fd_fdstat_set_flags":     {signature: "ii:i", since: envoyGoWASI},
	"fd_fdstat_set_rights":    {signature: "iII:i", since: envoyFullWASI},
	"environ_get":             {signature: "ii:i", since: envoyBaseline},
	"environ_sizes_get":       {signature: "ii:i", since: envoyBaseline},
	"args_get":                {signature: "ii:i", since: envoyBaseline},
	"args_sizes_get":          {signature: "ii:i", since: envoyBaseline},
	"clock_time_get":          {signature: "iIi:i", since: envoyBaseline},
	"clock_res_get":           {signature: "ii:i", since: envoyFullWASI},
	"fd_advise":               {signature: "iIIi:i", since: envoyFullWASI},
	"fd_allocate":             {signature: "iII:i", since: envoyFullWASI},
	"fd_datasync":             {signature: "i:i", since: envoyFullWASI},
	"fd_filestat_set_size":    {signature: "iI:i", since: envoyFullWASI},
	"fd_filestat_set_times":   {signature: "iIIi:i", since: envoyFullWASI},
	"fd_pread":                {signature: "iiiIi:i", since: envoyFullWASI},
	"fd_pwrite":               {signature: "iiiIi:i", since: envoyFullWASI},
	"fd_readdir":              {signature: "iiiIi:i", since: envoyFullWASI},
	"fd_renumber":             {signature: "ii:i", since: envoyFullWASI},
	"fd_sync":                 {signature: "i:i", since: envoyFullWASI},
	"fd_tell":                 {signature: "ii:i", since: envoyFullWASI},
	"path_create_directory":   {signature: "iii:i", since: envoyFullWASI},
	"path_filestat_set_times": {signature: "iiiiIIi:i", since: envoyFullWASI},
	"path_link":               {signature: "iiiiii:i", since: envoyFullWASI},
	"path_readlink":           {signature: "iiiiii:i", since: envoyFullWASI},
	"path_remove_directory":   {signature: "iii:i", since: envoyFullWASI},
	"path_rename":             {signature: "iiiiii:i", since: envoyFullWASI},
	"path_symlink":            {signature: "iiii:i", since: envoyFullWASI},
	"path_unlink_file":        {signature: "iii:i", since: envoyFullWASI},
	"sock_accept":             {signature: "iii:i", since: envoyFullWASI},
	"sock_recv":               {signature: "iiiiii:i", since: envoyFullWASI},
	"sock_send":               {signature: "iiiii:i", since: envoyFullWASI},
	"sock_shutdown":           {signature: "ii:i", since: envoyFullWASI},
	"random_get":              {signature: "ii:i", since: envoyBaseline},
	"sched_yield":             {signature: ":i", since: envoyGoWASI},
	"poll_oneoff":             {signature: "iiii:i", since: envoyGoWASI},
	"proc_exit":               {signature: "i:", since: envoyBaseline},
	"path_open":               {signature: "iiiiiIIii:i", since: envoyBaseline},
	"fd_prestat_get":          {signature: "ii:i", since: envoyBaseline},
	"fd_prestat_dir_name":     {signature: "iii:i", since: envoyBaseline},
	"path_filestat_get":       {signature: "iiiii:i", since: envoyFullWASI},
	"fd_filestat_get":         {signature: "ii:i", since: envoyFullWASI},
}

// atStart are the host functions that a module may call in _initialize, _start and main, each
// with the first Envoy version that allows it. Envoy traps a call of any other.
//
// Reference: startVm in
// https://github.com/proxy-wasm/proxy-wasm-cpp-host/blob/main/src/wasm.cc
var atStart = map[string]string{
	"emscripten_notify_memory_growth": envoyGrowth,
	"proxy_log":                       envoyBaseline,
	"fd_write":                        envoyBaseline,
	"args_sizes_get":                  envoyBaseline,
	"args_get":                        envoyBaseline,
	"environ_sizes_get":               envoyBaseline,
	"environ_get":                     envoyBaseline,
	"fd_prestat_get":                  envoyBaseline,
	"fd_prestat_dir_name":             envoyBaseline,
	"clock_time_get":                  envoyBaseline,
	"random_get":                      envoyBaseline,
	"fd_fdstat_get":                   envoyGoWASI,
	"fd_fdstat_set_flags":             envoyGoWASI,
	"poll_oneoff":                     envoyFullWASI,
	"clock_res_get":                   envoyFullWASI,
	"fd_advise":                       envoyFullWASI,
	"fd_allocate":                     envoyFullWASI,
	"fd_datasync":                     envoyFullWASI,
	"fd_fdstat_set_rights":            envoyFullWASI,
	"fd_filestat_get":                 envoyFullWASI,
	"fd_filestat_set_size":            envoyFullWASI,
	"fd_filestat_set_times":           envoyFullWASI,
	"fd_pread":                        envoyFullWASI,
	"fd_pwrite":                       envoyFullWASI,
	"fd_readdir":                      envoyFullWASI,
	"fd_renumber":                     envoyFullWASI,
	"fd_sync":                         envoyFullWASI,
	"fd_tell":                         envoyFullWASI,
	"path_create_directory":           envoyFullWASI,
	"path_filestat_get":               envoyFullWASI,
	"path_filestat_set_times":         envoyFullWASI,
	"path_link":                       envoyFullWASI,
	"path_readlink":                   envoyFullWASI,
	"path_remove_directory":           envoyFullWASI,
	"path_rename":                     envoyFullWASI,
	"path_symlink":                    envoyFullWASI,
	"path_unlink_file":                envoyFullWASI,
	"sock_accept":                     envoyFullWASI,
	"sock_recv":                       envoyFullWASI,
	"sock_send":                       envoyFullWASI,
	"sock_shutdown":                   envoyFullWASI,
}

// inMalloc are the host functions that a module may call while the host allocates memory in
// it.
//
// Reference: allocMemory in
// https://github.com/proxy-wasm/proxy-wasm-cpp-host/blob/main/include/proxy-wasm/wasm.h
var inMalloc = map[string]string{
	"proxy_log":      envoyBaseline,
	"fd_write":       envoyBaseline,
	"clock_time_get": envoyBaseline,
	"poll_oneoff":    envoyFullWASI,
}

// inStartFunction are the host functions that need no context of Envoy. There is no context
// yet when the module's start function runs (the one in the start section, which needs no
// name). If it calls another host function, the Envoy process ends.
var inStartFunction = map[string]string{
	"emscripten_notify_memory_growth": envoyBaseline,
	"pthread_equal":                   envoyBaseline,
	"args_get":                        envoyBaseline,
	"sched_yield":                     envoyBaseline,
	"fd_prestat_get":                  envoyBaseline,
	"fd_prestat_dir_name":             envoyBaseline,
	"fd_filestat_get":                 envoyBaseline,
	"fd_read":                         envoyBaseline,
	"path_open":                       envoyBaseline,
}

// callbacks are the functions that Envoy calls in a module that exports them,
// with their signatures in ABI 0.2.0 and 0.2.1.
var callbacks = map[string]string{
	"proxy_validate_configuration":            "ii:i",
	"proxy_on_vm_start":                       "ii:i",
	"proxy_on_configure":                      "ii:i",
	"proxy_on_tick":                           "i:",
	"proxy_on_context_create":                 "ii:",
	"proxy_on_new_connection":                 "i:i",
	"proxy_on_downstream_data":                "iii:i",
	"proxy_on_upstream_data":                  "iii:i",
	"proxy_on_downstream_connection_close":    "ii:",
	"proxy_on_upstream_connection_close":      "ii:",
	"proxy_on_request_headers":                "iii:i",
	"proxy_on_request_body":                   "iii:i",
	"proxy_on_request_trailers":               "ii:i",
	"proxy_on_request_metadata":               "ii:i",
	"proxy_on_response_headers":               "iii:i",
	"proxy_on_response_body":                  "iii:i",
	"proxy_on_response_trailers":              "ii:i",
	"proxy_on_response_metadata":              "ii:i",
	"proxy_on_http_call_response":             "iiiii:",
	"proxy_on_grpc_receive":                   "iii:",
	"proxy_on_grpc_close":                     "iii:",
	"proxy_on_grpc_receive_initial_metadata":  "iii:",
	"proxy_on_grpc_receive_trailing_metadata": "iii:",
	"proxy_on_queue_ready":                    "ii:",
	"proxy_on_foreign_function":               "iii:",
	"proxy_on_done":                           "i:i",
	"proxy_on_log":                            "i:",
	"proxy_on_delete":                         "i:",
	"_initialize":                             ":",
	"_start":                                  ":",
	"main":                                    "ii:i",
	"__main_void":                             ":i",
	"malloc":                                  "i:i",
	"proxy_on_memory_allocate":                "i:i",
}

// callbacksABI01 are the callbacks with another signature in ABI 0.1.0.
var callbacksABI01 = map[string]string{
	"proxy_on_request_headers":  "ii:i",
	"proxy_on_response_headers": "ii:i",
}
